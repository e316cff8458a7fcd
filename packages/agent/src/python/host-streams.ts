import type { Readable, Writable } from "node:stream";
import { collect } from "./byte-stream.ts";

/** The pipes and bodies that Python reads and writes, by number. */
export function hostStreams() {
  const readers = new Map<number, ReturnType<typeof collect>>();
  const writers = new Map<number, Writable>();
  let last = 0;
  return {
    addReader(...sources: Readable[]): number {
      readers.set(++last, collect(sources));
      return last;
    },
    addWriter(target: Writable): number {
      // A program that ends without reading: told by the next write.
      target.on("error", () => undefined);
      writers.set(++last, target);
      return last;
    },
    async read(stream: number, most: number): Promise<Uint8Array> {
      return (await readers.get(stream)?.read(most)) ?? new Uint8Array();
    },
    async write(stream: number, bytes: Uint8Array): Promise<void> {
      const target = writers.get(stream);
      await new Promise<void>((written, failed) => {
        if (target === undefined || target.destroyed)
          failed(Object.assign(new Error("broken pipe"), { code: "EPIPE" }));
        else target.write(bytes, (error) => (error ? failed(error) : written()));
      });
    },
    async close(stream: number): Promise<void> {
      readers.get(stream)?.close();
      readers.delete(stream);
      const target = writers.get(stream);
      writers.delete(stream);
      if (target !== undefined && !target.destroyed) await new Promise<void>((ended) => target.end(() => ended()));
    },
  };
}

export type Streams = ReturnType<typeof hostStreams>;
