import type { Log } from "../../core/log.ts";
import type { RunProgram } from "../../core/system-program.ts";
import type { NetworkClient } from "../network.ts";
import type { Ruleset } from "./ruleset.ts";

/**
 * Brings the kernel's table to what the ruleset says, one transaction at a time. A transaction that fails changed
 * nothing: then the whole table is written anew (somebody else may have changed it), and if that fails too, what was
 * added is tried one by one, so that one that cannot be done takes no other with it.
 */
export class RuleWriter {
  readonly #rules: Ruleset;
  readonly #table: string;
  readonly #run: RunProgram;
  readonly #log: Log;
  /** The kernel's table may be anything: the next write is a whole one. */
  #unsure = true;
  #removed = false;

  constructor(options: { rules: Ruleset; table: string; run: RunProgram; log: Log }) {
    this.#rules = options.rules;
    this.#table = options.table;
    this.#run = options.run;
    this.#log = options.log;
  }

  makeWhole(): void {
    this.#unsure = true;
    this.#removed = false;
  }

  removeAll(): void {
    this.#removed = true;
  }

  /**
   * Writes what changed. The clients were added since the last time; returned is which of them could not be, by
   * connection id, and under the empty id why nothing could be done at all.
   */
  async write(added: readonly NetworkClient[]): Promise<Map<string, Error>> {
    const faults = new Map<string, Error>();
    if (this.#removed) {
      const fault = await this.#nft(this.#rules.nothing());
      if (fault) faults.set("", fault);
      return faults;
    }
    const changes = this.#unsure ? null : this.#rules.changes();
    if (changes === "" || (changes !== null && (await this.#nft(changes)) === null)) {
      this.#rules.settle();
      return faults;
    }
    if (changes !== null)
      this.#log.warn({ table: this.#table }, "our rules were changed by somebody; writing them anew");
    const fault = await this.#writeWhole();
    return fault === null ? faults : this.#writeOneByOne(added, fault);
  }

  /** Looks whether somebody else changed the table; if so it is written anew with the next `write`. */
  async look(): Promise<void> {
    if (this.#unsure || this.#removed) return;
    const { ok, stdout } = await this.#run("nft", ["-j", "-t", "list", "table", "inet", this.#table]);
    if (ok && sameShape(stdout, this.#rules.shape())) return;
    this.#log.warn({ table: this.#table }, "our rules were changed by somebody; writing them anew");
    this.#unsure = true;
  }

  async #writeWhole(): Promise<Error | null> {
    const fault = await this.#nft(this.#rules.whole());
    this.#unsure = fault !== null;
    if (fault === null) this.#rules.settle();
    return fault;
  }

  async #writeOneByOne(added: readonly NetworkClient[], first: Error): Promise<Map<string, Error>> {
    const faults = new Map<string, Error>();
    for (const { connectionId } of added) this.#rules.remove(connectionId);
    const fault = added.length === 0 ? first : await this.#writeWhole();
    if (fault !== null) {
      // What was released is gone from the ruleset and stays so; the kernel learns of it with the next whole table.
      this.#log.error({ table: this.#table, error: fault }, "nft cannot write our rules");
      faults.set("", fault);
      for (const { connectionId } of added) faults.set(connectionId, fault);
      return faults;
    }
    for (const client of added) {
      this.#rules.add(client);
      const failed = await this.#nft(this.#rules.changes());
      if (failed === null) {
        this.#rules.settle();
        continue;
      }
      this.#rules.undo();
      faults.set(client.connectionId, failed);
    }
    return faults;
  }

  async #nft(text: string): Promise<Error | null> {
    const { ok, stderr } = await this.#run("nft", ["-f", "-"], text);
    return ok ? null : new Error(`nft: ${stderr.slice(0, 1_000).trim()}`);
  }
}

type Listed = { chain?: { name: string }; rule?: { chain: string } };

function sameShape(listing: string, shape: ReadonlyMap<string, number>): boolean {
  const { nftables } = JSON.parse(listing) as { nftables: Listed[] };
  const counts = new Map<string, number>();
  for (const { chain, rule } of nftables) {
    if (chain) counts.set(chain.name, counts.get(chain.name) ?? 0);
    if (rule) counts.set(rule.chain, (counts.get(rule.chain) ?? 0) + 1);
  }
  return counts.size === shape.size && [...shape].every(([name, count]) => counts.get(name) === count);
}
