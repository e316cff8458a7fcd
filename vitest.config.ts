import { resolve } from "node:path";
import { defineConfig } from "vitest/config";

const endToEnd = ["packages/*/test/**/*.e2e.test.ts", "packages/*/test/e2e/**/*.test.ts"];
/** Real processes, a database's thread, inputs by the ten thousand: right, and too slow to run before each commit. */
const integration = [
  "packages/*/test/runner/**/*.test.ts",
  "packages/agent/test/{python/**/*,posture/answer,scripts/run-script}.test.ts",
  "packages/*/test/config/anything.test.ts",
  "packages/*/test/cli/{process,scripts-and-devices,typescript-scripts}.test.ts",
  "packages/*/test/drivers/openvpn/commands.test.ts",
  "packages/*/test/hooks/{killed,module}.test.ts",
  "packages/*/test/post-auth/{duo,examples,gate,languages,settings,shipped,versions}.test.ts",
  "packages/*/test/store/sqlite{,-crash,-faults,-thread}.test.ts",
];
/**
 * Threads that open a database start and end by the hundred in one process. Node takes the types out of their files with
 * WebAssembly, and V8 sometimes crashes when much of that comes and goes (nodejs/node#64500); with a cache it is done once.
 */
const env = { NODE_COMPILE_CACHE: resolve(import.meta.dirname, ".build/compile-cache") };
const globalSetup = ["./packages/server/test/global-setup.ts"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/test/**/*.test.ts"],
          exclude: [...endToEnd, ...integration],
          globalSetup,
          env,
          // Most of them wait for processes and files more than they compute.
          maxWorkers: 3,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: "integration",
          include: integration,
          globalSetup,
          env,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Real daemons, clients and directories. They mostly wait for one another: with three files at a time two cores
        // are busy and nobody is late.
        test: {
          name: "e2e",
          include: endToEnd,
          globalSetup,
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
          testTimeout: 300_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
