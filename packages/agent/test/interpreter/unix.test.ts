import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { interpret } from "../../src/interpreter/interpret.ts";
import type { ScriptMachine } from "../../src/interpreter/machine.ts";
import type { Script } from "../../src/interpreter/script-start.ts";
import { developerDirectory, isProgramOnMac } from "../../src/machine/developer-tools.ts";

const execute = promisify(execFile);
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "unix-"));
});
afterAll(() => rm(directory, { recursive: true }));

const isProgram = (path: string) => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
const linux = (changes: Partial<ScriptMachine> = {}): ScriptMachine => ({
  platform: "linux",
  environment: { PATH: "/usr/bin:/bin" },
  directory,
  python: "auto",
  isProgram,
  ...changes,
});

/** Writes what the interpretation asks for and starts it, as the agent does. */
async function run(script: Script, machine = linux()): Promise<string> {
  const start = interpret(script, machine);
  if (start.kind === "refused") throw new Error(start.reason);
  for (const file of [start.file, ...start.moreFiles]) {
    await writeFile(join(directory, file.name), file.contents, { mode: 0o700 });
  }
  const own = await mkdtemp(join(directory, "bin-"));
  for (const { name, contents } of start.privatePrograms) await writeFile(join(own, name), contents, { mode: 0o700 });
  const env = { PATH: `${machine.environment.PATH}:${own}`, HOME: directory };
  return (await execute(start.program, start.args, { env })).stdout;
}

test.each([
  ["a shebang of the system's", "#!/bin/sh\necho $0 | grep -o named\n", "named\n"],
  ["options in the shebang", "#!/bin/sh -e\necho $-\n", expect.stringContaining("e")],
  ["lines of Windows", "#!/bin/sh\r\nif true\r\nthen echo yes\r\nfi\r\n", "yes\n"],
  ["a byte order mark", "\uFEFF#!/bin/sh\necho yes\n", "yes\n"],
  ["trailing spaces", "#!/bin/sh  \t\necho yes\n", "yes\n"],
  ["no shebang: the shell", "echo yes\n", "yes\n"],
  ["no shebang, lines of Windows", "if true\r\nthen echo yes\r\nfi\r\n", "yes\n"],
  ["#PYTHON under the machine's Python", "#PYTHON\r\nimport scripthelper\r\nprint('yes')\r\n", "yes\n"],
])("runs: %s", async (_title, text, output) => {
  expect(await run({ text, fileBase: "named" })).toEqual(output);
});

test("a script that asks for python gets python3 where the machine has only that", async () => {
  const bin = await mkdtemp(join(directory, "only python3 'here'-"));
  await symlink("/usr/bin/python3", join(bin, "python3"));
  await symlink("/usr/bin/env", join(bin, "env"));
  const machine = linux({ environment: { PATH: bin } });
  const text = "#!/usr/bin/env python\nimport sys\nprint(sys.version_info[0], sys.argv[1:])\n";
  expect(await run({ text, fileBase: "versions" }, machine)).toBe("3 []\n");
});

test("a machine with a python of its own gets none of ours", async () => {
  const bin = await mkdtemp(join(directory, "both-"));
  for (const name of ["python", "python3"]) await symlink("/usr/bin/python3", join(bin, name));
  const start = interpret({ text: "#!/usr/bin/env python\n", fileBase: "a" }, linux({ environment: { PATH: bin } }));
  expect(start).toMatchObject({ program: join(directory, "a"), privatePrograms: [] });
});

test("without any Python, #PYTHON and env python run in the built-in one, unless the setting says the machine's", async () => {
  const bin = join(directory, "empty");
  await mkdir(bin);
  const machine = linux({ environment: { PATH: bin } });
  for (const text of ["#PYTHON\n", "#!/usr/bin/env python\n"]) {
    expect(interpret({ text, fileBase: "a" }, machine)).toMatchObject({ python: "builtin" });
  }
  const system = interpret({ text: "#PYTHON\n", fileBase: "a" }, { ...machine, python: "system" });
  expect(system).toMatchObject({ kind: "refused", reason: expect.stringContaining("no Python 3 in PATH") });
});

test("with python3 there, the setting decides about #PYTHON", () => {
  const of = (python: ScriptMachine["python"]) => interpret({ text: "#PYTHON\n", fileBase: "a" }, linux({ python }));
  expect(of("auto")).toMatchObject({ python: "system" });
  expect(of("system")).toMatchObject({ python: "system" });
  expect(of("builtin")).toMatchObject({ python: "builtin" });
});

// macOS is not at hand: what there is of it are the paths that are programs there.
const tools = "/Library/Developer/CommandLineTools";
const standIn = "/usr/bin/python3";
const macs: [there: readonly string[], directory: string | undefined, python: string | undefined][] = [
  [[standIn], undefined, undefined],
  [[standIn], tools, undefined],
  [[standIn, `${tools}/usr/bin/python3`], tools, standIn],
  [[standIn, "/opt/homebrew/bin/python3"], undefined, "/opt/homebrew/bin/python3"],
];

describe.each(macs)("on macOS with %j and developer tools at %s", (there, tools, python) => {
  const machine = (changes: Partial<ScriptMachine> = {}): ScriptMachine => ({
    ...{ platform: "mac", environment: { PATH: "/opt/homebrew/bin:/usr/bin" }, directory: "/s", python: "auto" },
    isProgram: (path) => isProgramOnMac(path, tools, (one) => there.includes(one)),
    ...changes,
  });
  const first = { python: "#PYTHON", env: "#!/usr/bin/env python3", direct: "#!/usr/bin/python3 -E" };
  const start = (line: string, changes?: Partial<ScriptMachine>) =>
    interpret({ text: `${line}\nprint(1)\n`, fileBase: "a" }, machine(changes));
  const direct = python === standIn;

  test("its stand-in for Python is never started", () => {
    expect(start(first.python)).toMatchObject(
      python === undefined ? { python: "builtin" } : { python: "system", program: python },
    );
    expect(start(first.env)).toMatchObject(python === undefined ? { python: "builtin" } : { program: "/s/a" });
    if (direct) expect(start(first.direct)).toMatchObject({ program: "/s/a" });
    else expect(start(first.direct)).toMatchObject({ python: python === undefined ? "builtin" : "system" });
    for (const line of Object.values(first)) {
      const system = start(line, { python: "system" });
      if (python === undefined) expect(system).toMatchObject({ kind: "refused" });
      else expect(system).toMatchObject({ kind: "start" });
    }
  });

  test("a private python is for one that is there", () => {
    expect(start("#!/bin/sh")).toMatchObject({
      privatePrograms: python === undefined ? [] : [{ contents: `#!/bin/sh\nexec '${python}' "$@"\n` }],
    });
  });
});

test.each([
  ["echo /Library/Developer/CommandLineTools", "/Library/Developer/CommandLineTools"],
  ["echo /Applications/Xcode.app/Contents/Developer/", "/Applications/Xcode.app/Contents/Developer"],
  ["echo 'xcode-select: error: unable to get active developer directory' >&2; exit 2", undefined],
  ["echo none", undefined],
])("where the developer tools are is what xcode-select -p says: %s", async (says, expected) => {
  const program = join(await mkdtemp(join(directory, "select-")), "xcode-select");
  await writeFile(program, `#!/bin/sh\n[ "$*" = -p ] || exit 64\n${says}\n`, { mode: 0o700 });
  expect(await developerDirectory(program)).toBe(expected);
  expect(await developerDirectory(join(directory, "none"))).toBeUndefined();
});

test.each([
  ["#EXT", "#EXT vbs\nWScript.Echo 1\n", "is for Windows"],
  ["a first line longer than the kernel reads", `#!/bin/sh ${"a".repeat(300)}\n`, "255 bytes"],
  ["a NUL byte", "#!/bin/sh\n\0", "NUL"],
])("refused: %s", (_title, text, reason) => {
  expect(interpret({ text, fileBase: "a" }, linux())).toMatchObject({
    kind: "refused",
    reason: expect.stringContaining(reason),
  });
});

test("a program that may not be executed is not found", async () => {
  const bin = await mkdtemp(join(directory, "plain-"));
  await writeFile(join(bin, "python3"), "");
  await chmod(join(bin, "python3"), 0o600);
  const machine = linux({ python: "system", environment: { PATH: bin } });
  expect(interpret({ text: "#PYTHON\n", fileBase: "a" }, machine)).toMatchObject({ kind: "refused" });
});
