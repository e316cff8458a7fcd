import { createConnection, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { AgentFailure } from "../failure.ts";

/** What a client's OpenVPN says by itself: `>STATE:…` is `{ source: "STATE", text: "…" }`. */
export type Notice = { source: string; text: string };

export type Management = {
  /** One command a line. A line that OpenVPN could not read whole is refused. */
  send(...lines: string[]): void;
  close(): void;
};

/** OpenVPN's own bound for one line is 1,024; from 769 on it can lose the head of one that shares a write. */
const mostLineBytes = 767;
const mostUnreadBytes = 1024 * 1024;

/**
 * Connects to the management socket of a client's OpenVPN, which may still be about to open it. `onClose` is called once
 * when it is gone.
 * @throws AgentFailure where OpenVPN does not open it in time; `stillRuns` tells when waiting has no sense.
 */
export async function connectManagement(options: {
  path: string;
  deadlineMs: number;
  stillRuns: () => boolean;
  onNotice: (notice: Notice) => void;
  onClose: () => void;
}): Promise<Management> {
  const { path, deadlineMs, stillRuns, onNotice, onClose } = options;
  const end = Date.now() + deadlineMs;
  let socket: Socket | undefined;
  while (socket === undefined) {
    socket = await connected(path);
    if (socket !== undefined) break;
    if (!stillRuns()) throw new AgentFailure("failed", "openvpn ended before it could be spoken to.");
    if (Date.now() > end) throw new AgentFailure("failed", "openvpn does not open its management socket.");
    await wait(20);
  }
  const open = socket;
  let unread = Buffer.alloc(0);
  open.on("data", (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    for (let at = unread.indexOf(10); at !== -1; at = unread.indexOf(10)) {
      const line = unread.subarray(0, at).toString("utf8").replace(/\r$/, "");
      unread = unread.subarray(at + 1);
      const [, source, text] = /^>([A-Z0-9_-]+):(.*)$/s.exec(line) ?? [];
      if (source !== undefined && text !== undefined) onNotice({ source, text });
    }
    if (unread.length > mostUnreadBytes) open.destroy();
  });
  open.on("error", () => open.destroy());
  open.on("close", onClose);
  return {
    send: (...lines) => {
      for (const line of lines) {
        if (Buffer.byteLength(line) > mostLineBytes || /[\r\n\0]/.test(line))
          throw new AgentFailure(
            "failed",
            `openvpn cannot be given this: ${line.split(" ")[0]} with so long an answer.`,
          );
        open.write(`${line}\n`);
      }
    },
    close: () => open.destroy(),
  };
}

function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(socket);
    });
    socket.once("error", () => resolve(undefined));
  });
}
