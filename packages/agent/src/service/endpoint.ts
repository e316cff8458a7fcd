import { chmod, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { accountName } from "../machine/account-name.ts";
import { makeRootDirectory } from "../machine/private-directory.ts";
import { ownPlatform } from "../machine/system.ts";
import type { Endpoint, OnAgent } from "./peer.ts";
import { peerCredentialsReader } from "./peer-credentials.ts";
import { connectToServicePipe, listenForAgentsAtPipe } from "./pipe-endpoint.ts";

/** Where agents and the privileged service meet: a unix socket, on Windows a named pipe. */
export async function listenForAgents(path: string, log: (text: string) => void, onAgent: OnAgent): Promise<Endpoint> {
  return ownPlatform() === "win"
    ? await listenForAgentsAtPipe(path, log, onAgent)
    : await listenForAgentsAtSocket(path, onAgent);
}

async function listenForAgentsAtSocket(path: string, onAgent: OnAgent): Promise<Endpoint> {
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

/**
 * Undefined where no service listens there.
 * @throws AgentFailure where somebody else does
 */
export async function connectToService(path: string): Promise<Socket | undefined> {
  if (ownPlatform() === "win") return await connectToServicePipe(path);
  return await new Promise((resolve) => {
    const opened = createConnection({ path });
    opened.once("connect", () => resolve(opened));
    opened.once("error", () => resolve(undefined));
  });
}
