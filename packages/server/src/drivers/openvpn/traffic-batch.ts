import type { Traffic, Tunnel } from "../../core/vpn-event.ts";
import type { ByteCounts } from "./tunnel-table.ts";

const everyMs = 1_000;

/** Gathers byte counts, which come a line a client, so that they are told together: the newest of each tunnel. */
export class TrafficBatch {
  readonly #tell: (counts: Traffic[]) => void;
  #counts = new Map<string, Traffic>();
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (counts: Traffic[]) => void) {
    this.#tell = tell;
  }

  add(tunnel: Tunnel, counts: ByteCounts): void {
    this.#counts.set(tunnel.key, { tunnel, ...counts });
    this.#timer ??= setTimeout(() => this.flush(), everyMs);
  }

  /** The tunnel's last counts are told with its end. */
  forget(tunnel: Tunnel): void {
    this.#counts.delete(tunnel.key);
  }

  flush(): void {
    const counts = [...this.#counts.values()];
    this.clear();
    if (counts.length > 0) this.#tell(counts);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#counts = new Map();
  }
}
