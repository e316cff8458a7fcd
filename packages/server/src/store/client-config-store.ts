export type ClientConfigKind = "user-locked" | "auto-login" | "server-locked";

/** A device's file as the server remembers it: no private key. */
export type ClientConfig = {
  id: string;
  /** Null for server-locked ones. */
  userId: string | null;
  profileId: string;
  kind: ClientConfigKind;
  protocol: "openvpn" | "wireguard";
  /** Certificate common name, or WireGuard public key: the connection's `connectionId`. */
  connectionId: string;
  /** Lower-case hex without leading zeros; null for WireGuard. */
  serial: string | null;
  createdAt: string;
  expiresAt: string;
  revokedAt: string | null;
} & Partial<DeviceFacts>;

/** Why a client config works no more, before its time. */
export type ClientConfigEnd = "revoked" | "replaced" | "deleted" | "unused" | "rejected";

/** What is known of a WireGuard device beside its file; what has no value is left out. */
export type DeviceFacts = {
  /** When its file was handed out; left out while it is being asked for. */
  issuedAt: string;
  endReason: ClientConfigEnd;
  /** Since when an administrator keeps it out though it is valid. */
  awayAt: string;
  ipv4: string;
  ipv6: string;
  /** Its last handshake, and where from. */
  lastSeenAt: string;
  endpoint: string;
};

export interface ClientConfigStore {
  add(config: ClientConfig): Promise<void>;
  get(id: string): Promise<ClientConfig | undefined>;
  bySerial(serial: string): Promise<ClientConfig | undefined>;
  list(filter?: { userId?: string; profileId?: string }): Promise<ClientConfig[]>;
  /** False where there is none or it is revoked already. */
  revoke(id: string, at: string, reason?: ClientConfigEnd): Promise<boolean>;
}

/** WireGuard devices: client configs of a public key (`connectionId`), which hold addresses as long as they work. */
export interface DeviceStore {
  /** A device that is being asked for. False where the profile has a working one with this key. */
  begin(config: ClientConfig, presharedKey: string | null): Promise<boolean>;
  /** Its file is handed out. False where it was revoked meanwhile. */
  issued(
    id: string,
    facts: { at: string; expiresAt: string; ipv4: string | null; ipv6: string | null },
  ): Promise<boolean>;
  /** It was never handed out: nothing of it stays, and its addresses are free. */
  drop(id: string): Promise<void>;
  /** Those not revoked, in order of their making, those past their time too. */
  working(filter?: { profileId?: string; userId?: string }): Promise<ClientConfig[]>;
  /** Secrets: whoever reads them masks them. */
  presharedKey(id: string): Promise<string | null>;
  /** Of all that are not revoked and have one, by client config. */
  presharedKeys(profileId: string): Promise<ReadonlyMap<string, string>>;
  /** All that ever had this key, the working one first. */
  withKey(profileId: string, publicKey: string): Promise<ClientConfig[]>;
  /** Null lets it in again. */
  setAway(id: string, at: string | null): Promise<void>;
  seen(
    sightings: readonly { profileId: string; publicKey: string; at: string | null; endpoint: string | null }[],
  ): Promise<void>;
  /** Those that work no more, hold addresses, and have no connection left. */
  stillHolding(now: string): Promise<{ id: string; profileId: string }[]>;
}
