import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import {
  descendantsOf,
  isAlive,
  parentsByPs,
  pidsWith,
  processesWithArgument,
  processesWithVariable,
  startTimeByPs,
  startTimeOf,
} from "../../src/machine/processes.ts";

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

async function sleeper(env: Record<string, string> = {}, word = "0"): Promise<number> {
  const child = spawn("/bin/sh", ["-c", "echo; read line", word], { env: { PATH: "/usr/bin:/bin", ...env } });
  children.push(child);
  await once(child.stdout, "data");
  return child.pid as number;
}

test("a process is alive as long as it is the very one that was meant", async () => {
  const pid = await sleeper();
  const began = await startTimeOf(pid);
  expect(began).toMatch(/^\d+$/);
  expect(await isAlive(`${pid}`, began)).toBe(true);
  expect(await isAlive(`${pid}`, `${Number(began) - 1}`)).toBe(false);
  expect(await isAlive(`${pid}`, undefined)).toBe(false);
  // Where the system does not tell when one began.
  expect(await isAlive(`${pid}`, "0")).toBe(true);
  const [child] = children;
  child?.kill("SIGKILL");
  await once(child as ChildProcess, "exit");
  expect([await isAlive(`${pid}`, began), await isAlive(`${pid}`, "0")]).toEqual([false, false]);
});

test("what a process started is found, and what has a variable or a word, and nothing else", async () => {
  const mark = `sallyport-${process.pid}`;
  const [one, other] = [await sleeper({ MARK: mark }), await sleeper({ MARK: `${mark}-2` }, mark)];
  expect(await descendantsOf(process.pid)).toEqual(expect.arrayContaining([one, other]));
  expect(await descendantsOf(one)).toEqual([]);
  expect(await processesWithVariable(`MARK=${mark}`)).toEqual([one]);
  expect(await processesWithArgument(mark)).toEqual([other]);
});

test("ps tells when a process began, as macOS asks it, whatever the zone; and each one's parent", async () => {
  const pid = await sleeper();
  const seconds = Number(await startTimeByPs(pid));
  expect(Math.abs(seconds - Date.now() / 1_000)).toBeLessThan(120);
  expect(await startTimeByPs(2 ** 22 + 1)).toBeUndefined();
  expect(await parentsByPs()).toContainEqual([pid, process.pid]);
});

// As macOS' ps prints it with -E: the words, then the environment. Written after its manual.
test("lines of ps with the environment behind the words", () => {
  const lines = [
    "    1 /sbin/launchd",
    "  501 /opt/tool --quiet TMPDIR=/var/db/a b/tmp HOME=/Users/alice",
    " 1501 /opt/tool TMPDIR=/var/db/a b/tmpx",
    " 1502 /opt/tool xTMPDIR=/var/db/a b/tmp",
    "99999 /opt/tool HOME=/ TMPDIR=/var/db/a b/tmp",
  ].join("\n");
  expect(pidsWith(lines, "TMPDIR=/var/db/a b/tmp")).toEqual([501, 99_999]);
  expect(pidsWith("", "x")).toEqual([]);
});
