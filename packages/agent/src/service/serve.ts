import type { Socket } from "node:net";
import { dirname, join } from "node:path";
import { failureOf } from "../failure.ts";
import { makePrivateDirectory, mendServices } from "../machine/private-directory.ts";
import { sweepTunnelDirectories } from "../openvpn/process.ts";
import { sweepScriptDirectories } from "../scripts/script-directory.ts";
import { listenForAgents } from "./endpoint.ts";
import { readLines } from "./lines.ts";
import type { Peer } from "./peer.ts";
import { mostRequestBytes, readRequest, type ServiceAnswer, type ServiceNotice } from "./requests.ts";
import { openServiceSession, type ServiceSession } from "./session.ts";

export type ServeOptions = {
  socketPath: string;
  policyPath: string;
  directory: string;
  openVpnProgram: string | undefined;
  connectDeadlineMs: number;
  disconnectDeadlineMs: number;
  log: (text: string) => void;
};

const mostOfOneAccount = 4;
const mostConnections = 64;

/**
 * The privileged part: root, where everybody may connect. Who somebody is the system says; what they may have is the
 * owner's policy, read anew each time; what runs as root is signed by the owner's servers.
 */
export async function serve(options: ServeOptions): Promise<{ close(): Promise<void> }> {
  const { socketPath, directory, log } = options;
  await makePrivateDirectory(directory, mendServices);
  await sweepScriptDirectories(join(directory, "scripts"));
  await sweepTunnelDirectories(join(directory, "tunnels"));
  const open = new Map<Socket, { id: string; session: Promise<ServiceSession | undefined> }>();
  const endings = new Set<Promise<void>>();

  const endpoint = await listenForAgents(socketPath, log, (socket, peer) => {
    socket.on("error", () => socket.destroy());
    const ofAccount = [...open.values()].filter(({ id }) => id === peer?.id).length;
    if (peer === undefined || ofAccount >= mostOfOneAccount || open.size >= mostConnections) {
      log(
        `somebody was turned away: ${peer === undefined ? "nobody knows who" : `too many connections of ${peer.id}`}`,
      );
      socket.destroy();
      return;
    }
    const session = begin(peer, (notice) => send(socket, notice), options).catch((error: Error) => {
      log(`${peer.id} was turned away: ${error.message}`);
      send(socket, { error: error.message });
      socket.end();
      return undefined;
    });
    open.set(socket, { id: peer.id, session });
    let turn: Promise<void> = Promise.resolve();
    let waiting = 0;
    readLines(socket, mostRequestBytes, (line) => {
      waiting += 1;
      if (waiting > 8) return socket.destroy();
      turn = turn.then(async () => {
        const present = await session;
        if (present !== undefined) send(socket, await answer(present, line, log));
        waiting -= 1;
      });
    });
    socket.on("close", () => {
      open.delete(socket);
      const ending = session
        .then((present) => present?.close())
        .catch((error: Error) => log(`a connection could not be cleaned up: ${error.message}`));
      endings.add(ending);
      void ending.then(() => endings.delete(ending));
    });
  });
  log(`listening at ${socketPath}`);
  return {
    close: async () => {
      await endpoint.close();
      const sessions = [...open.keys()];
      const closed = sessions.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
      for (const socket of sessions) socket.destroy();
      await Promise.all(closed);
      await Promise.all(endings);
    },
  };
}

async function begin(
  peer: Peer,
  notify: (notice: ServiceNotice) => void,
  options: ServeOptions,
): Promise<ServiceSession> {
  const user = await peer.name();
  if (user === undefined) throw new Error(`the account ${peer.id} has no name on this machine`);
  return openServiceSession({ ...options, socketDirectory: dirname(options.socketPath), user, notify });
}

async function answer(session: ServiceSession, line: string, log: (text: string) => void): Promise<ServiceAnswer> {
  const request = readRequest(line);
  if (request === undefined) return { error: "this is no request of an agent's" };
  try {
    return await session.answer(request);
  } catch (error) {
    const { message, next } = failureOf(error);
    log(`${request.do} failed: ${message}`);
    return { error: next === undefined ? message : `${message} ${next}` };
  }
}

function send(socket: Socket, message: ServiceAnswer | ServiceNotice | { error: string }): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(message)}\n`);
}
