import type { WireGuardProfile } from "../profile/wireguard-file.ts";

/** What came of the other side: the time of the last handshake (milliseconds since the epoch), and bytes altogether. */
export type WireGuardTraffic = { lastHandshake: number | null; receivedBytes: number };

/** A WireGuard interface that is up. */
export type WireGuardDevice = {
  name: string;
  traffic(): Promise<WireGuardTraffic>;
  takeDown(): Promise<void>;
};

export type WireGuardStart = {
  profile: WireGuardProfile;
  /** A directory of the account's own, for files that hold keys and for the names of interfaces that it made. */
  base: string;
  /** macOS: accounts whose programs root may run, by the owner's word. */
  programsOf: () => Promise<readonly string[]>;
  log: (text: string) => void;
};
