import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../../core/log.ts";
import type { ByteCounter, ByteCounts } from "./byte-counter.ts";
import type { WireGuardInterface } from "./driver-terms.ts";

/** Which making of the interface was attached last, and what each peer's counter there must be added to. */
export type SavedCounts = { identity: string; bases: Map<string, ByteCounts> };

/** Remembers over our own end, by whatever, how the bytes of connections relate to the counters of their peers. */
export class CountsFile {
  readonly #file: string;
  readonly #log: Log;
  #next: (() => SavedCounts) | undefined;
  #writing: Promise<void> | undefined;

  constructor(directory: string, log: Log) {
    this.#file = join(directory, "counters.json");
    this.#log = log;
  }

  /** Undefined where there is none that can be read: then the ledger's own counts are what is known. */
  async read(): Promise<SavedCounts | undefined> {
    try {
      const { identity, bases } = JSON.parse(await readFile(this.#file, "utf8"));
      const entries = Object.entries(bases as Record<string, [number, number]>);
      return {
        identity: String(identity),
        bases: new Map(entries.map(([key, [bytesIn, bytesOut]]) => [key, { bytesIn, bytesOut }])),
      };
    } catch {
      return undefined;
    }
  }

  /** Written once where it is called often; resolves, never rejects, when all is written. */
  save(what: () => SavedCounts): Promise<void> {
    this.#next = what;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#next !== undefined) {
      const { identity, bases } = this.#next();
      this.#next = undefined;
      const entries = [...bases].map(([key, { bytesIn, bytesOut }]) => [key, [bytesIn, bytesOut]]);
      try {
        await writeFile(`${this.#file}.new`, JSON.stringify({ identity, bases: Object.fromEntries(entries) }), {
          mode: 0o600,
        });
        await rename(`${this.#file}.new`, this.#file);
      } catch (error) {
        this.#log.warn({ file: this.#file, error }, "what byte counts begin at could not be written down");
      }
    }
  }
}

/** `making`: whether the interface is the one of an earlier life of ours. */
export type Counting = { making: "same" | "another" | "unknown"; trigger: WireGuardInterface["trigger"] };

/**
 * Where counting goes on for a peer whose counter was just read, and that an earlier life of ours may have known.
 * `ledger`: what was told of its connection last.
 */
export function continueCounting(
  counter: ByteCounter,
  from: Counting & { saved: ByteCounts | undefined; ledger: ByteCounts | undefined },
): void {
  const { making, saved, ledger } = from;
  // With the configuration as trigger a peer's counter begins with its connection.
  if (making === "same" && (saved !== undefined || from.trigger === "config")) counter.base = saved ?? null;
  else if (making === "another") counter.base = ledger ?? null;
  else if (ledger !== undefined) counter.continueFrom(ledger);
}
