import type { Socket } from "node:net";

/** Calls `onLine` with each line of a socket; one that is too long ends it. */
export function readLines(socket: Socket, mostBytes: number, onLine: (line: string) => void): void {
  let chunks: Buffer[] = [];
  let bytes = 0;
  socket.on("data", (chunk: Buffer) => {
    let rest = chunk;
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
      // On some systems a chunk is as long as what lies there.
      if (bytes + end > mostBytes) return void socket.destroy();
      const line = Buffer.concat([...chunks, rest.subarray(0, end)]).toString("utf8");
      chunks = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
      onLine(line);
    }
    bytes += rest.length;
    if (bytes > mostBytes) socket.destroy();
    else if (rest.length > 0) chunks.push(rest);
  });
}
