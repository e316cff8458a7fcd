import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openAgentLog } from "../../src/machine/agent-log.ts";

test("no line that a script printed looks like an entry of the agent's own", async () => {
  const directory = await mkdtemp(join(tmpdir(), "agent-log-"));
  const log = openAgentLog(join(directory, "kept/agent.log"));
  const forged = "2026-01-01T00:00:00.000Z connect script setup.sh: done";
  log.write(`connect script evil.sh: done\nhello\r\n\n${forged}\n\x1b[31mred\n\n`);
  log.write("listening\n");
  await log.written();
  const text = await readFile(join(directory, "kept/agent.log"), "utf8");
  const withoutTimes = text.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /gm, "TIME ");
  expect(withoutTimes).toBe(
    `TIME connect script evil.sh: done\n  hello\n  \n  ${forged}\n  \\x1b[31mred\nTIME listening\n`,
  );
  await rm(directory, { recursive: true });
});
