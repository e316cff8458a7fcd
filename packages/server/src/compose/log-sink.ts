import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import pino from "pino";

/** So much waits for a reader that is slow; what comes beyond that is lost, and said when it reads again. */
const mostWaitingBytes = 4 * 1024 * 1024;

export type LogSink = { write(line: string): void };

/**
 * Where the log goes: an open file. Whoever reads a pipe or socket may stop reading (a journal that hangs, a pager):
 * a write that waited for them would hold up everybody who signs in, so lines wait in memory instead.
 */
export function openLogSink(fd: number): LogSink {
  const kind = fstatSync(fd);
  if (!kind.isFIFO() && !kind.isSocket()) return pino.destination({ dest: fd, sync: true });
  const socket = new Socket({ fd, readable: false, writable: true });
  // Nobody is there to be told that nobody reads the log.
  socket.on("error", () => undefined);
  let lost = 0;
  socket.on("drain", () => {
    if (lost === 0) return;
    const notice = { level: "error", time: new Date().toISOString(), lines: lost };
    lost = 0;
    socket.write(`${JSON.stringify({ ...notice, msg: "lines of this log were lost: nobody read them" })}\n`);
  });
  return {
    write(line) {
      // As long as somebody reads, the line has left when this returns.
      if (socket.writableLength < mostWaitingBytes) socket.write(line);
      else lost += 1;
    },
  };
}
