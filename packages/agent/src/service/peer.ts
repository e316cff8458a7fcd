import type { Socket } from "node:net";

/** Who is at the other end of a connection, as the system knows it and not as it says of itself. */
export type Peer = {
  /** The same for each connection of one account. */
  id: string;
  /** Its name, as the policy has it; undefined where the account has none. */
  name(): Promise<string | undefined>;
};

export type Endpoint = { close(): Promise<void> };

/** Without a peer nobody knows who it is. */
export type OnAgent = (socket: Socket, peer: Peer | undefined) => void;
