import { appendFileSync, existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { hostUnderServiceManager } from "../../../src/windows/service-host.ts";

/** A service that writes down how it ends, which it does when `FILE.end` is there. */
const [file = ""] = process.argv.slice(2);
const code = await hostUnderServiceManager(async () => ({
  start: async () => ({
    close: async () => {
      appendFileSync(file, "closing ");
      while (!existsSync(`${file}.end`)) await sleep(50);
      appendFileSync(file, "closed ");
    },
  }),
  onFailure: () => 9,
}));
appendFileSync(file, String(code));
