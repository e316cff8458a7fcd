import type { Readable } from "node:stream";

/** Collects what streams bring, so that no source waits for Python; `read` waits for the next bytes or the end of all. */
export function collect(sources: readonly Readable[]): { read(most: number): Promise<Uint8Array>; close(): void } {
  const chunks: Buffer[] = [];
  let open = sources.length;
  let failure: Error | undefined;
  let wake = () => {};
  for (const source of sources) {
    source.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      wake();
    });
    source.on("error", (error) => {
      failure = error;
    });
    // After the end and after an error alike.
    source.on("close", () => {
      open -= 1;
      wake();
    });
  }
  return {
    async read(most) {
      while (chunks.length === 0 && open > 0) {
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
    close() {
      for (const source of sources) source.destroy();
    },
  };
}
