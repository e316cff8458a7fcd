import type { Connection } from "../core/connection.ts";
import { SallyportError } from "../core/errors.ts";
import type { Admission } from "../drivers/driver.ts";
import { type Network, type NetworkClient, networkClient } from "../network/network.ts";
import type { Ledger } from "../store/store.ts";
import { assignment } from "./addresses.ts";
import type { ConnectionProfile } from "./profile.ts";
import { routesAndDns } from "./routes.ts";

type Where = { profileId: string; listener: string };

/** The way through for a connection: what its client is told by the VPN daemon, and what the machine lets pass. */
export type Passage = {
  /** What the VPN daemon is told to give the client. */
  admission(
    connection: Pick<Connection, "profileId" | "ipv4" | "ipv6" | "properties" | "group">,
  ): Omit<Admission, "kind">;
  /** The machine lets this client's packets through, and nobody else's from its address. Errors: `network-failed`, `too-busy`. */
  open(connection: Connection): Promise<void>;
  close(connectionId: string): Promise<void>;
  /** After an attach: exactly those who are connected there are let through. */
  restore(listener: Where): Promise<void>;
  /** Everybody who is connected, as the network needs to know them. */
  clients(where?: Partial<Where>): Promise<NetworkClient[]>;
};

export function createPassage(options: {
  ledger: Pick<Ledger, "unfinished">;
  network: Pick<Network, "admit" | "release" | "restore">;
  nodeNumber: number;
  profile: (id: string) => ConnectionProfile | undefined;
  /** The network interface of a listener; null where it is not ours to know (an attached server). */
  device: (listener: Where) => string | null;
}): Passage {
  const { ledger, network, nodeNumber, device: deviceOf } = options;

  const admission: Passage["admission"] = ({ profileId, ipv4, ipv6, properties, group }) => {
    const profile = options.profile(profileId);
    if (profile === undefined) throw new SallyportError("internal", `there is no profile ${profileId}`);
    return {
      ipv4: assignment(ipv4, group, profile),
      ipv6: assignment(ipv6, group, profile),
      ...routesAndDns({ properties, group, profile }),
    };
  };

  const clients: Passage["clients"] = async (where = {}) => {
    const rows = await ledger.unfinished({ nodeNumber, ...where });
    return rows.flatMap((connection) => {
      const device = deviceOf(connection);
      const connected = connection.state === "admitted" || connection.state === "open";
      if (device === null || !connected || options.profile(connection.profileId) === undefined) return [];
      return [networkClient(connection, admission(connection), device)];
    });
  };

  return {
    admission,
    clients,
    async open(connection) {
      const device = deviceOf(connection);
      if (device !== null) await network.admit(networkClient(connection, admission(connection), device));
    },
    close: (connectionId) => network.release(connectionId),
    async restore(listener) {
      const device = deviceOf(listener);
      if (device !== null) await network.restore(device, await clients(listener));
    },
  };
}
