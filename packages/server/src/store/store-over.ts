import { accountStore } from "./accounts.ts";
import type { AttemptOptions } from "./attempt-queue.ts";
import { attemptRows, attemptStore } from "./attempts.ts";
import { challengeStore } from "./challenges.ts";
import { clientConfigStore } from "./client-configs.ts";
import { clientScriptStore } from "./client-scripts.ts";
import type { Database } from "./database.ts";
import { deliveryStore } from "./deliveries.ts";
import { deviceStore } from "./devices.ts";
import { figureStore } from "./figures.ts";
import { ledger } from "./ledger.ts";
import { pruneDeliveries } from "./prune.ts";
import { scriptStore } from "./scripts.ts";
import { sessionStore } from "./sessions.ts";
import { settingStore } from "./settings.ts";
import { inParts, inSteps } from "./steps.ts";
import type { Store } from "./store.ts";

/** All that is asked of a database, by noun and verb; arguments and results are plain data that can be copied. */
export type Queries = ReturnType<typeof queriesOver>;

/** The same over any engine: the engine is the database handed in. */
export function queriesOver(database: Database) {
  return {
    accounts: accountStore(database),
    settings: settingStore(database),
    clientConfigs: clientConfigStore(database),
    devices: deviceStore(database),
    scripts: scriptStore(database),
    clientScripts: clientScriptStore(database),
    attempts: attemptRows(database),
    challenges: challengeStore(database),
    sessions: sessionStore(database),
    ledger: ledger(database),
    deliveries: { ...deliveryStore(database), prune: (before: string) => pruneDeliveries(database, before) },
    figures: figureStore(database),
  };
}

/** The store over queries, wherever they are done: attempts gather here, and what is long is asked in parts. */
export function storeOf(
  queries: Queries,
  options: { attempts?: AttemptOptions | undefined; close: () => Promise<void> },
): Store {
  const attempts = attemptStore(queries.attempts, options.attempts);
  const { ledger, deliveries } = queries;
  return {
    ...queries,
    attempts,
    ledger: {
      ...ledger,
      traffic: (counts) => inParts(counts, ledger.traffic),
      prune: (before) => inSteps(() => ledger.prune(before)),
    },
    deliveries: { ...deliveries, prune: (before) => inSteps(() => deliveries.prune(before)) },
    async close() {
      await attempts.close();
      await options.close();
    },
  };
}

export function storeOver(database: Database, attempts?: AttemptOptions): Store {
  return storeOf(queriesOver(database), { attempts, close: () => database.close() });
}
