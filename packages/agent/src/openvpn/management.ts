import { createConnection, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { AgentFailure } from "../failure.ts";
import { signIn } from "./management-password.ts";

/** What a client's OpenVPN says by itself: `>STATE:…` is `{ source: "STATE", text: "…" }`. */
export type Notice = { source: string; text: string };

/**
 * Where a client's OpenVPN is spoken to: a unix socket; on Windows, which has none for it, a port of this machine with a
 * password for this one start.
 */
export type ManagementAddress = { path: string } | { port: number; password: string };

export type Management = {
  /** One command a line. A line that OpenVPN could not read whole is refused. */
  send(...lines: string[]): void;
  close(): void;
};

/** OpenVPN's own bound for one line is 1,024; from 769 on it can lose the head of one that shares a write. */
const mostLineBytes = 767;
const mostUnreadBytes = 1024 * 1024;

/**
 * Connects to the management interface of a client's OpenVPN, which may still be about to open it. `onClose` is called
 * once when it is gone.
 * @throws AgentFailure where OpenVPN does not open it in time; `stillRuns` tells when waiting has no sense.
 */
export async function connectManagement(options: {
  address: ManagementAddress;
  deadlineMs: number;
  stillRuns: () => boolean;
  onNotice: (notice: Notice) => void;
  onClose: () => void;
}): Promise<Management> {
  const { address, deadlineMs, stillRuns, onNotice, onClose } = options;
  const end = Date.now() + deadlineMs;
  let socket: Socket | undefined;
  while (socket === undefined) {
    socket = await connected(address);
    if (socket !== undefined) break;
    if (!stillRuns()) throw new AgentFailure("failed", "openvpn ended before it could be spoken to.");
    if (Date.now() > end) throw new AgentFailure("failed", "openvpn does not open its management interface.");
    await wait(20);
  }
  const open = socket;
  let unread: Buffer = Buffer.alloc(0);
  if ("password" in address) unread = await signIn(open, address.password, Math.max(end - Date.now(), 0));
  // On Windows it reads on while it writes an answer, and then takes one line for another (manage.c, management_io): there
  // the next one goes when the one before was answered.
  const inTurns = "password" in address;
  const waiting: string[] = [];
  let unanswered = false;
  const write = () => {
    if (inTurns && unanswered) return;
    const line = waiting.shift();
    if (line === undefined) return;
    unanswered = true;
    open.write(`${line}\n`);
  };
  const hear = (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    for (let at = unread.indexOf(10); at !== -1; at = unread.indexOf(10)) {
      const line = unread.subarray(0, at).toString("utf8").replace(/\r$/, "");
      unread = unread.subarray(at + 1);
      const [, source, text] = /^>([A-Z0-9_-]+):(.*)$/s.exec(line) ?? [];
      if (source !== undefined && text !== undefined) onNotice({ source, text });
      else if (/^(SUCCESS|ERROR):/.test(line)) {
        unanswered = false;
        write();
      }
    }
    if (unread.length > mostUnreadBytes) open.destroy();
  };
  open.on("data", hear);
  open.on("error", () => open.destroy());
  open.on("close", onClose);
  // What came with the yes to the password, when our caller has us in hand.
  setImmediate(() => hear(Buffer.alloc(0)));
  return {
    send: (...lines) => {
      for (const line of lines) {
        if (Buffer.byteLength(line) > mostLineBytes || /[\r\n\0]/.test(line))
          throw new AgentFailure(
            "failed",
            `openvpn cannot be given this: ${line.split(" ")[0]} with so long an answer.`,
          );
        waiting.push(line);
        write();
      }
    },
    close: () => open.destroy(),
  };
}

function connected(address: ManagementAddress): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket =
      "path" in address
        ? createConnection({ path: address.path })
        : createConnection({ host: "127.0.0.1", port: address.port });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", () => resolve(undefined));
  });
}
