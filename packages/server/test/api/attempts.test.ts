import { expect, test } from "vitest";
import { attemptCommands } from "../../src/api/commands/attempts.ts";
import { withAttemptCode } from "../../src/core/attempt-code.ts";
import { SallyportError } from "../../src/core/errors.ts";
import { attemptStore } from "../../src/store/attempts.ts";
import { anAttempt } from "../store/suite/rows.ts";

test("attempts are explained while the disk is full, with why those that were let in were refused after all", async () => {
  const full = () => Promise.reject(new SallyportError("store-unavailable", "the disk is full"));
  const attempts = attemptStore({
    insert: full,
    get: async () => undefined,
    newest: async () => [],
    endingIn: async () => [],
    refusedAfterwards: full,
    prune: full,
  });
  const allowed = anAttempt({ outcome: "allow", userId: "alice" });
  attempts.record(allowed);
  const clientReason = withAttemptCode("Something went wrong.", allowed.id);
  await attempts.refusedAfterwards(allowed.id, { code: "store-unavailable", reason: "the disk is full", clientReason });

  const commands = attemptCommands({ attempts, ledger: { list: async () => [] } });
  const run = (command: string, input: object) => commands[command]?.run(input as never);
  const code = /\(code (\w+)\)/.exec(clientReason)?.[1];
  for (const [command, input] of [
    ["attempt-last", { userId: "alice" }],
    ["attempt-show", { id: allowed.id }],
    ["attempt-by-code", { code }],
  ] as const) {
    expect(await run(command, input)).toMatchObject({
      id: allowed.id,
      outcome: "deny",
      code: "store-unavailable",
      reason: "the disk is full",
    });
  }
  expect(await run("attempt-list", { limit: 10 })).toHaveLength(1);
  await attempts.close();
});
