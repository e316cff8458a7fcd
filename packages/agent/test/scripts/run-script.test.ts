import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "@sallyport/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ownAccount } from "../../src/machine/account.ts";
import { type RunTerms, runScript, type ScriptToRun } from "../../src/scripts/run-script.ts";
import { sweepScriptDirectories } from "../../src/scripts/script-directory.ts";

const me = await ownAccount();

let directory: string;
let base: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-run-"));
  base = join(directory, "scripts");
});

afterEach(() => rm(directory, { recursive: true }));

function run(text: string, changes: Partial<RunTerms> & Partial<ScriptToRun> = {}) {
  const { environment = {}, ...terms } = changes;
  return runScript(
    { name: "try.sh", text, sha256: sha256(text), environment, ...(changes.sha256 && { sha256: changes.sha256 }) },
    {
      connection: {
        ...{ ipFour: undefined, ipSix: undefined, userId: "alice", profileId: "office", server: "vpn" },
        ...{ reconnects: 0, graceful: false },
      },
      ...{ account: me, session: {}, stdin: null, deadlineMs: 20_000, mostOutputBytes: 10_000, base },
      ...{ python: "auto", platform: "linux" },
      ...terms,
    },
  );
}

const processesWith = (words: string) =>
  execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes(words));

test("its files are for its account alone while it runs, and gone afterwards", async () => {
  const { output } = await run(`#!/bin/sh\nstat -c '%a %u %F' "$TMPDIR/.." "$TMPDIR" "$TMPDIR/../try.sh"\n`);
  const own = process.getuid?.();
  expect(output).toBe(`700 ${own} directory\n700 ${own} directory\n500 ${own} regular file\n`);
  expect(await readdir(base)).toEqual([]);
});

test("a script put in the place of the one that was checked does not run", async () => {
  const outcome = await run("#!/bin/sh\necho the right one\n", {
    beforeStart: async (at) => {
      await writeFile(join(at, "evil"), `#!/bin/sh\necho evil\n`, { mode: 0o700 });
      await rename(join(at, "evil"), join(at, "try.sh"));
    },
  });
  expect(outcome).toMatchObject({ outcome: "ran", exitCode: 0, output: "the right one\n" });
});

test("a text that is not what its hash says does not run", async () => {
  expect(await run("#!/bin/sh\necho evil\n", { sha256: sha256("other") })).toMatchObject({
    outcome: "failed",
    output: "",
    detail: "its text is not what its hash says",
  });
});

test("neither a link in the place of its directory nor one that others can write to is used", async () => {
  const elsewhere = join(directory, "elsewhere");
  await mkdir(elsewhere, { mode: 0o700 });
  await symlink(elsewhere, base);
  expect((await run("#!/bin/sh\necho evil\n")).detail).toContain("is not safe to use");
  await rm(base);
  await mkdir(base);
  await chmod(base, 0o777);
  expect((await run("#!/bin/sh\necho evil\n")).detail).toContain("is not safe to use");
  expect(await readdir(elsewhere)).toEqual([]);
});

test("one that never ends is killed at its deadline, with everything that it started", async () => {
  const mark = `4${process.pid}.25`;
  const outcome = await run(
    // Beside the plain: sessions of their own, parents that are gone, environments that do not tell where they are from.
    [
      ...["#!/bin/sh", `sleep ${mark} & setsid sleep ${mark} & (setsid sleep ${mark} &)`],
      ...[`env -i setsid sleep ${mark} & (env -i sleep ${mark} &)`, "trap '' TERM", "echo begun", `sleep ${mark}\n`],
    ].join("\n"),
    { deadlineMs: 4_000 },
  );
  expect(outcome).toMatchObject({ outcome: "timed-out", signal: "SIGKILL", output: "begun\n" });
  await expect.poll(() => processesWith(mark), { timeout: 20_000 }).toEqual([]);
  expect(await readdir(base)).toEqual([]);
});

test("output is bounded, whatever is printed", async () => {
  const { output } = await run("#!/bin/sh\nhead -c 30000000 /dev/zero | tr '\\0' x; echo the end\n");
  expect(Buffer.byteLength(output)).toBeLessThan(10_100);
  expect(output).toMatch(/^x+\n\[… \d+ bytes left out …\]\nx+the end\n$/);
});

test("a longer text than servers may send does not run", async () => {
  expect((await run(`#!/bin/sh\n${"#".repeat(1024 * 1024)}\n`)).detail).toContain("longer than");
});

test("what a killed agent left is swept away by the next, running scripts too, and what lives is spared", async () => {
  const killed = join(base, "999999999-1-abcdef");
  await mkdir(join(killed, "tmp"), { recursive: true, mode: 0o700 });
  const mark = `5${process.pid}.25`;
  const environment = { PATH: process.env.PATH, TMPDIR: join(killed, "tmp") };
  execFileSync("sh", ["-c", `setsid sleep ${mark} >/dev/null 2>&1 &`], { env: environment });
  let spared = "";
  await run("#!/bin/sh\nexit 0\n", {
    beforeStart: async (at) => {
      await chmod(base, 0o700);
      expect(await sweepScriptDirectories(base)).toBe(1);
      spared = (await stat(at)).isDirectory() ? at : "";
    },
  });
  expect(spared).not.toBe("");
  await expect.poll(() => processesWith(`sleep ${mark}`), { timeout: 20_000 }).toEqual([]);
});

test("what is not the agent's stays where it is, though it lies where scripts run", async () => {
  await mkdir(join(base, "backup"), { recursive: true, mode: 0o700 });
  await writeFile(join(base, "backup", "mine.sh"), "#!/bin/sh\n");
  await writeFile(join(base, "notes"), "mine");
  expect(await sweepScriptDirectories(base)).toBe(0);
  expect(await readdir(base)).toEqual(["backup", "notes"]);
  expect(await readdir(join(base, "backup"))).toEqual(["mine.sh"]);
});

test("scripts that ask for python find it where the machine has python3 alone", async () => {
  const programs = join(directory, "bin");
  await mkdir(programs);
  const python3 = execFileSync("sh", ["-c", "ls /usr/bin/python3"], { encoding: "utf8" }).trim();
  await symlink(python3, join(programs, "python3"));
  const { output, detail } = await run("#!/usr/bin/env python\nprint('from', 2 + 1)\n", {
    environment: { PREPATH: programs },
  });
  expect([detail, output]).toEqual([null, "from 3\n"]);
});

test("an interpreter that is not there, and a status that is not 0, are told apart", async () => {
  expect(await run("#!/no/such/program\n")).toMatchObject({ outcome: "failed", exitCode: null });
  expect(await run("#!/bin/sh\nexit 7\n")).toMatchObject({ outcome: "ran", exitCode: 7, detail: null });
  expect(await run("#!/bin/sh\nkill -TERM $$\n")).toMatchObject({ outcome: "ran", exitCode: null, signal: "SIGTERM" });
});
