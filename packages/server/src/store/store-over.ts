import { accountStore } from "./accounts.ts";
import type { AttemptOptions } from "./attempt-queue.ts";
import { attemptStore } from "./attempts.ts";
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
import type { Store } from "./store.ts";

/** The store over any engine: the queries are the same, the engine is the database handed in. */
export function storeOver(database: Database, attemptOptions?: AttemptOptions): Store {
  const attempts = attemptStore(database, attemptOptions);
  return {
    accounts: accountStore(database),
    settings: settingStore(database),
    clientConfigs: clientConfigStore(database),
    devices: deviceStore(database),
    scripts: scriptStore(database),
    clientScripts: clientScriptStore(database),
    attempts,
    challenges: challengeStore(database),
    sessions: sessionStore(database),
    ledger: ledger(database),
    deliveries: { ...deliveryStore(database), prune: (before) => pruneDeliveries(database, before) },
    figures: figureStore(database),
    async close() {
      await attempts.close();
      await database.close();
    },
  };
}
