import { defineConfig } from "vitest/config";

const endToEnd = ["packages/*/test/e2e/**/*.test.ts", "packages/*/test/**/*.e2e.test.ts"];
const globalSetup = ["./packages/server/test/global-setup.ts"];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/test/**/*.test.ts"],
          exclude: endToEnd,
          globalSetup,
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        // Real daemons, clients and directories: one file at a time, so that a slow machine stays truthful.
        test: {
          name: "e2e",
          include: endToEnd,
          globalSetup,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 180_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
