import { randomBytes } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { makePrivateDirectory, replaceFile } from "../machine/private-directory.ts";
import { ownPlatform } from "../machine/system.ts";

/** What a connected agent tells of itself. */
export type AgentStatus = {
  pid: number;
  profile: string;
  protocol: "openvpn" | "wireguard";
  state: "connecting" | "connected" | "reconnecting" | "disconnecting";
  since: string;
  ipFour: string | null;
  ipSix: string | null;
  server: string;
  reconnects: number;
};

const mostBytes = 64 * 1024;
const mostPipeNameBytes = 200;
const answerDeadlineMs = 5_000;
const pipes = "\\\\.\\pipe\\sallyport-agent-";

/**
 * Lets other runs of the agent under the same account ask and end this one, on a socket in a directory that only that
 * account can enter. Windows has no such sockets: there it is a pipe of a name that nobody can guess, which a file in that
 * directory tells; only this account, administrators and the system can write to it (the rights that Windows gives a pipe
 * for which none were asked).
 */
export async function serveControl(options: {
  directory: string;
  status: () => AgentStatus;
  /** Resolves when everything is over. */
  disconnect: () => Promise<void>;
}): Promise<AsyncDisposable> {
  const { directory, status, disconnect } = options;
  await makePrivateDirectory(directory);
  const path = join(directory, `${process.pid}`);
  await rm(path, { force: true });
  const pipe = ownPlatform() === "win" ? `${pipes}${randomBytes(16).toString("hex")}` : undefined;
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.setTimeout(60_000, () => socket.destroy());
    socket.once("data", (chunk) => {
      const word = chunk.toString("utf8").trim();
      if (word === "status") socket.end(`${JSON.stringify(status())}\n`);
      else if (word === "disconnect") void disconnect().then(() => socket.end("{}\n"));
      else socket.destroy();
    });
  });
  server.maxConnections = 16;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(pipe ?? path, resolve);
  });
  if (pipe !== undefined) await replaceFile(path, pipe);
  return {
    [Symbol.asyncDispose]: async () => {
      server.close();
      await rm(path, { force: true });
    },
  };
}

/** The agents of this account that are connected, and where each is asked. What agents left that were killed goes. */
export async function connectedAgents(directory: string): Promise<{ path: string; status: AgentStatus }[]> {
  const found: { path: string; status: AgentStatus }[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const file = join(directory, name);
    const path = await listenerOf(file);
    const answer = await askAgent(path, "status", answerDeadlineMs).catch((error: NodeJS.ErrnoException) =>
      error.code === "ECONNREFUSED" || (path !== file && error.code === "ENOENT") ? undefined : null,
    );
    if (answer === undefined) await rm(file, { force: true });
    else if (answer !== null) found.push({ path, status: JSON.parse(answer) as AgentStatus });
  }
  return found;
}

/** The socket itself, or the pipe whose name a file tells. */
async function listenerOf(file: string): Promise<string> {
  if (ownPlatform() !== "win") return file;
  const name = (await readFile(file, "utf8").catch(() => "")).slice(0, mostPipeNameBytes);
  return name.startsWith(pipes) ? name : `${pipes}none`;
}

/** @throws Error where it does not answer */
export function askAgent(path: string, word: "status" | "disconnect", deadlineMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = createConnection({ path });
    let answer = "";
    socket.setTimeout(deadlineMs, () => socket.destroy(new Error("the agent does not answer")));
    socket.on("connect", () => socket.write(`${word}\n`));
    socket.on("data", (chunk) => {
      answer += chunk.toString("utf8");
      if (answer.length > mostBytes) socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => (answer.endsWith("\n") ? resolve(answer) : reject(new Error("the agent ended"))));
  });
}
