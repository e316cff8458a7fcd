import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const module = join(import.meta.dirname, "..", "..", "src", "compose", "log.ts");

/** A process that logs to its standard error, and says on its standard output when it went on. */
function logging(lines: number, stderr: "pipe" | number) {
  const program = `
    import { openLog } from ${JSON.stringify(module)};
    const log = openLog("info");
    for (let i = 0; i < ${lines}; i++) log.info({ number: i, filler: "x".repeat(1000) }, "a line");
    process.stdout.write("went on\\n");
    process.stdin.once("data", () => {
      log.info({}, "the last line");
      process.exitCode = 0;
      process.stdin.destroy();
    });
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["pipe", "pipe", stderr],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

test("somebody who does not read the log holds nobody up, and what did not fit is counted", async () => {
  const child = logging(8_000, "pipe");
  child.stderr?.pause();
  expect(String(await once(child.stdout as NodeJS.ReadableStream, "data"))).toBe("went on\n");
  let read = "";
  child.stderr?.on("data", (chunk) => {
    read += chunk;
  });
  child.stderr?.resume();
  const lost = () => /"lines":(\d+),"msg":"lines of this log were lost/.exec(read)?.[1];
  await expect.poll(lost, { timeout: 60_000 }).toBeDefined();
  const whole = read.split("\n").filter((line) => line.endsWith('"msg":"a line"}'));
  expect(whole.length + Number(lost())).toBe(8_000);
  child.stdin?.end("go on\n");
  await once(child, "close");
  expect(read.trimEnd().endsWith('"msg":"the last line"}')).toBe(true);
});

test("what is logged to a file is there when it was logged, behind what was there", async () => {
  const directory = await mkdtemp(join(tmpdir(), "log-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const file = join(directory, "log");
  const descriptor = openSync(file, "a");
  const child = logging(3, descriptor);
  closeSync(descriptor);
  await once(child.stdout as NodeJS.ReadableStream, "data");
  expect(readFileSync(file, "utf8").match(/"a line"/g)).toHaveLength(3);
  child.stdin?.end("go on\n");
  await once(child, "close");
});
