import { execFile } from "node:child_process";
import { copyFile, cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const execute = promisify(execFile);
const root = resolve(import.meta.dirname, "../../../..");

/** A machine with the system's libraries, the executable, and nothing else: no Node, no Python, no shell. */
let machine: string;

beforeAll(async () => {
  const built = await mkdtemp(join(tmpdir(), "executable-"));
  await execute(process.execPath, [join(root, "scripts/build-agent.ts"), "--out", built]);
  expect(await readdir(built)).toEqual(["sallyport-agent"]);
  machine = await mkdtemp(join(tmpdir(), "machine-"));
  await cp(join(built, "sallyport-agent"), join(machine, "sallyport-agent"));
  await rm(built, { recursive: true });
  const { stdout } = await execute("ldd", [join(machine, "sallyport-agent")]);
  for (const [library] of stdout.matchAll(/\/\S+/g)) {
    await mkdir(join(machine, dirname(library)), { recursive: true });
    await copyFile(library, join(machine, library));
  }
  for (const directory of ["tmp", "scripts", "dev"]) await mkdir(join(machine, directory));
  await writeFile(join(machine, "dev/null"), "");
  // It compresses Python's memory and writes 150 MB: minutes on a machine that is busy with other tests.
}, 400_000);
afterAll(() => rm(machine, { recursive: true }));

/** Runs the executable there, without a single variable. */
async function run(...args: string[]): Promise<{ out: string; error: string; status: number }> {
  const chroot = ["-i", "/usr/sbin/chroot", machine, "/sallyport-agent", ...args];
  return execute("/usr/bin/env", chroot).then(
    ({ stdout, stderr }) => ({ out: stdout, error: stderr, status: 0 }),
    ({ stdout, stderr, code }) => ({ out: stdout, error: stderr, status: code }),
  );
}

test("the executable starts on a machine without Node and without anything else", async () => {
  expect(await run("--version")).toMatchObject({ out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), status: 0 });
  expect(await run("connect", "--help")).toMatchObject({ out: expect.stringContaining("FILE.ovpn"), status: 0 });
});

test("a script runs in the executable's own Python, with the machine's files", async () => {
  const text = `#PYTHON
import os, sys
from scripthelper import digest_file
f = file("/scripts/marker", "w")
f.write("abc")
f.close()
print(digest_file("/scripts/marker", "sha1"), os.path.exists("/usr/bin/python3"), os.path.exists("/bin/sh"))
try:
    os.system("true")
except OSError as e:
    print(type(e).__name__)
sys.exit(3)
`;
  await writeFile(join(machine, "scripts/sample.py"), text);
  expect(await run("--built-in-python", "/scripts/sample.py")).toEqual({
    out: "a9993e364706816aba3e25717850c26c9cd0d89d False False\nFileNotFoundError\n",
    error: "",
    status: 3,
  });
});
