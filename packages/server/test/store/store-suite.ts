import { describe } from "vitest";
import { accountsSuite } from "./suite/accounts.ts";
import { addressesSuite } from "./suite/addresses.ts";
import { attemptsSuite } from "./suite/attempts.ts";
import { clientScriptsSuite } from "./suite/client-scripts.ts";
import { deliveriesSuite } from "./suite/deliveries.ts";
import { devicesSuite } from "./suite/devices.ts";
import { figuresSuite } from "./suite/figures.ts";
import { ledgerSuite } from "./suite/ledger.ts";
import { propertiesSuite } from "./suite/properties.ts";
import { pruningSuite } from "./suite/pruning.ts";
import type { OpenStore } from "./suite/rows.ts";
import { scriptsSuite } from "./suite/scripts.ts";
import { sessionsSuite } from "./suite/sessions.ts";
import { settingsSuite } from "./suite/settings.ts";
import { withdrawnSuite } from "./suite/withdrawn.ts";

/** What every engine must do. `open` gives an empty store each time. */
export function storeSuite(engine: string, open: OpenStore): void {
  describe(`a store on ${engine}`, () => {
    accountsSuite(open);
    settingsSuite(open);
    scriptsSuite(open);
    attemptsSuite(open);
    addressesSuite(open);
    ledgerSuite(open);
    deliveriesSuite(open);
    sessionsSuite(open);
    devicesSuite(open);
    pruningSuite(open);
    clientScriptsSuite(open);
    propertiesSuite(open);
    figuresSuite(open);
    withdrawnSuite(open);
  });
}
