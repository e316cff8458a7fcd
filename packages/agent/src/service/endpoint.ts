import { chmod, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { accountName } from "../machine/account-name.ts";
import { makeRootDirectory } from "../machine/private-directory.ts";
import { peerCredentialsReader } from "./peer-credentials.ts";

/** Who is at the other end of a connection, as the system knows it and not as it says of itself. */
export type Peer = {
  /** The same for each connection of one account. */
  id: string;
  /** Its name, as the policy has it; undefined where the account has none. */
  name(): Promise<string | undefined>;
};

export type Endpoint = { close(): Promise<void> };

/** Where agents and the privileged service meet: a unix socket. */
export async function listenForAgents(
  path: string,
  /** Without a peer: nobody knows who it is. */
  onAgent: (socket: Socket, peer: Peer | undefined) => void,
): Promise<Endpoint> {
  const credentialsOf = await peerCredentialsReader();
  // Others come through, and cannot put a socket of theirs in the place of ours.
  await makeRootDirectory(dirname(path));
  await rm(path, { force: true });
  const server = createServer((socket) => {
    const uid = credentialsOf(socket)?.uid;
    onAgent(socket, uid === undefined ? undefined : { id: `uid ${uid}`, name: () => accountName(uid) });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  await chmod(path, 0o666);
  return {
    close: async () => {
      server.close();
      await rm(path, { force: true });
    },
  };
}

/** Undefined where no service listens there. */
export async function connectToService(path: string): Promise<Socket | undefined> {
  return await new Promise((resolve) => {
    const opened = createConnection({ path });
    opened.once("connect", () => resolve(opened));
    opened.once("error", () => resolve(undefined));
  });
}
