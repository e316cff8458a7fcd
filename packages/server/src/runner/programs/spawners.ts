import type { Log } from "../../core/log.ts";
import { type Order, type SpawnedEnd, Spawner } from "./spawner.ts";

/** Two share the work of starting; what is stuck in one holds up half. */
const usualSpawners = 2;

/** The processes that start programs: made when they are first needed, and again when one is gone. */
export type Spawners = {
  run(order: Order, abort: AbortSignal | undefined): Promise<SpawnedEnd>;
  /** Of those that are there now. */
  pids(): number[];
};

export function createSpawners(options: { python: string; log: Log; most?: number }): Spawners {
  const { python, log, most = usualSpawners } = options;
  const spawners = new Set<Spawner>();
  const onLost = (spawner: Spawner) => void spawners.delete(spawner);

  const leastLoaded = (): Spawner => {
    let best: Spawner | undefined;
    for (const spawner of spawners) if (best === undefined || spawner.load < best.load) best = spawner;
    if (best !== undefined && (best.load === 0 || spawners.size >= most)) return best;
    const started = new Spawner({ python, log, onLost });
    spawners.add(started);
    return started;
  };
  return {
    run: (order, abort) => leastLoaded().run(order, abort),
    pids: () => [...spawners].flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
  };
}
