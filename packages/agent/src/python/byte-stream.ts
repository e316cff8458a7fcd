import type { Readable } from "node:stream";

/** Collects a stream as it comes, so that its source never waits for Python; `read` waits for the next bytes or the end. */
export function collect(source: Readable): { read(most: number): Promise<Uint8Array>; close(): void } {
  const chunks: Buffer[] = [];
  let ended = false;
  let failure: Error | undefined;
  let wake = () => {};
  source.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    wake();
  });
  const end = () => {
    ended = true;
    wake();
  };
  source.on("end", end);
  source.on("close", end);
  source.on("error", (error) => {
    failure = error;
    end();
  });
  return {
    async read(most) {
      while (chunks.length === 0 && !ended) {
        await new Promise<void>((woken) => {
          wake = woken;
        });
      }
      const chunk = chunks.shift();
      if (chunk === undefined) {
        if (failure !== undefined) throw failure;
        return new Uint8Array();
      }
      if (chunk.length > most) chunks.unshift(chunk.subarray(most));
      // A copy of its own: what is sent to another thread takes its whole buffer along.
      return new Uint8Array(chunk.subarray(0, most));
    },
    close: () => void source.destroy(),
  };
}
