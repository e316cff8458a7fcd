import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../../server/test/waiting.ts";
import { openWine, type Wine } from "./wine.ts";

let wine: Wine;
/** `C:\Tools & more` and `C:\Program Files\Foo Bar` have a foo.exe, which is Node. */
const tools = "C:\\Tools & more";

beforeAll(async () => {
  wine = await openWine();
  const node = wine.node.slice(2).replaceAll("\\", "/");
  for (const directory of ["Tools & more", "Program Files/Foo Bar"]) {
    await mkdir(join(wine.drive, directory));
    await symlink(node, join(wine.drive, directory, "foo.exe"));
  }
  const batch = ["@echo off", "echo batch got [%*]", "type %3"];
  await writeFile(join(wine.drive, "Tools & more/batch.cmd"), batch.map((line) => `${line}\r\n`).join(""));
});
afterAll(() => wine?.[Symbol.asyncDispose]());

function runScript(name: string, ...args: string[]): string[] {
  const always = ["--event", "connect", "--allow-root", "--env", `PREPATH=${tools}`];
  return ["run-script", ...always, ...args, `C:\\${name}`];
}

type Options = { name?: string; args?: string[]; environment?: Record<string, string> };

/** What `run-script` came to, the carriage returns of its lines left out. */
async function run(text: string | Buffer, { name = "try", args = [], environment = {} }: Options = {}) {
  await writeFile(join(wine.drive, name), text);
  const words = runScript(name, "--script-seconds", "60", ...args);
  const { status, stdout, stderr } = await wine.agent(words, { environment });
  return { status, out: String(stdout).replaceAll("\r", ""), told: String(stderr) };
}

/** The directories of scripts that are there; `run-script` runs here as an administrator. */
const scriptDirectories = () => readdir(join(wine.drive, "ProgramData/sallyport-agent/administrator/scripts"));

/** A program of Node's that tells how it was started. */
const tell = "console.log(JSON.stringify([process.execArgv, process.argv[0], process.argv[1].split(/[\\\\]/).at(-1)]))";

test("what names no program runs in cmd.exe, whatever its line ends, and its exit status counts", async () => {
  expect(await run("@echo off\ngoto end\necho never\n:end\necho %N_RECONNECTS%\nexit /b 7\n")).toMatchObject({
    status: 1,
    out: "0\n",
    told: expect.stringMatching(/^try: exit status 7, \d+ ms\r?\nsallyport-agent: try failed/),
  });
  expect(await run("\uFEFF@echo with a byte order mark\r\n")).toMatchObject({
    status: 0,
    out: "with a byte order mark\n",
  });
});

test("programs are found in PATH, PREPATH first, or by a whole path, with their options as they were written", async () => {
  expect((await run(`#!foo.exe --title=x "--conditions=a b"\n${tell}`)).out).toBe(
    `[["--title=x","--conditions=a b"],"C:\\\\Tools & more\\\\foo.exe","try.txt"]\n`,
  );
  expect((await run(`#!"c:\\Program Files\\Foo Bar\\foo.exe" --title="a b"\r\n${tell}\r\n`)).out).toBe(
    `[["--title=a b"],"c:\\\\Program Files\\\\Foo Bar\\\\foo.exe","try.txt"]\n`,
  );
  expect((await run(`#!/usr/bin/env foo\n${tell}\n`)).out).toBe(`[[],"C:\\\\Tools & more\\\\foo.exe","try.txt"]\n`);
  expect((await run("#!nowhere.exe\n")).told).toContain("there is no nowhere.exe in PATH");
});

test("a batch file gets its words whole, and cmd.exe is given nothing to do beside", async () => {
  const { out } = await run(`#!batch.cmd -a "x & echo evil"\nits text\n`);
  expect(out).toMatch(/^batch got \[-a "x & echo evil" "C:\\.*\\try\.txt"\]\nits text\n$/);
  expect((await run("@echo %~n0\r\n", { name: "a & calc (1) ^ü%PATH%" })).out).toBe("a_calc_1_PATH_\n");
});

test("#EXT runs scripts of Windows Script Host on the console, and others by what opens their kind", async () => {
  expect(await run(`#EXT vbs\r\nWScript.Echo "vbs"\r\nWScript.Quit 3\r\n`)).toMatchObject({
    out: "vbs\n",
    told: expect.stringContaining("exit status 3"),
  });
  expect((await run(`#!cscript.exe //NoLogo\nWScript.Echo "by name"\n`)).out).toBe("by name\n");
  const put = (key: string, value: string) => wine.run("reg.exe", ["add", `HKCR\\${key}`, "/ve", "/d", value, "/f"]);
  await put(".foo", "Foo.File");
  await put("Foo.File\\shell\\open\\command", `"${tools}\\foo.exe" "%1"`);
  const marked = `require("fs").writeFileSync("C:\\\\opened", process.argv[1].split(/[\\\\]/).at(-1))`;
  expect(await run(`#EXT foo\r\n${marked}\r\n`)).toMatchObject({ status: 0 });
  expect(await readFile(join(wine.drive, "opened"), "utf8")).toBe("try.foo");
});

test("a script has its own environment and standard input, and nothing of the agent's", async () => {
  const text = `#!foo.exe
    let given = "";
    process.stdin.on("data", (chunk) => (given += chunk)).on("end", () => {
      const { PATH, A, TEMP, SECRET, USERNAME, ComSpec } = process.env;
      console.log(JSON.stringify({ given, PATH, A, here: TEMP === process.cwd(), SECRET, USERNAME, ComSpec }));
    });`;
  const args = ["--env", "A=%PATH% & ü", "--stdin", "line 1\nü"];
  expect(JSON.parse((await run(text, { args, environment: { SECRET: "1", ComSpec: "C:\\evil.exe" } })).out)).toEqual({
    given: "line 1\nü",
    PATH: expect.stringMatching(/^C:\\Tools & more;C:\\windows\\System32;/),
    A: "%PATH% & ü",
    here: true,
    USERNAME: "root",
    ComSpec: "C:\\windows\\System32\\cmd.exe",
  });
});

test("what is printed is read as UTF-8, and line by line as the console's code page where it is none", async () => {
  const { out } = await run(`#!foo.exe
    process.stdout.write(Buffer.from("grüß\\n"));
    process.stderr.write(Buffer.from([0x81, 0x84, 0x0a]));
    process.stdout.write("end\\n");`);
  expect(out).toBe("grüß\nüä\nend\n");
});

test("one that does not end is ended at its deadline with all that it started, whoever their parents are", async () => {
  const text = `#!foo.exe
    const { spawn } = require("node:child_process");
    // A grandchild in nobody's group whose parent is gone, as a launcher leaves one.
    const long = "require('fs').writeFileSync('C:\\\\\\\\begun', ''); setInterval(() => {}, 1000)";
    const launch = "require('child_process').spawn(process.execPath, ['-e', process.argv[1], 'endless-mark'], { detached: true, stdio: 'ignore' }).unref()";
    spawn(process.execPath, ["-e", launch, long], { detached: true, stdio: "ignore" }).unref();
    console.log("begun");
    setInterval(() => {}, 1000);`;
  const processes = async () => (await wine.processes()).filter(({ command }) => command.includes("endless-mark"));
  await writeFile(join(wine.drive, "endless"), text);
  const arrived = () => existsSync(join(wine.drive, "begun"));
  const inTime = async (seconds: number) => {
    const agent = await wine.startAgent(runScript("endless", "--script-seconds", `${seconds}`));
    await until("the grandchild, or the deadline", () => arrived() || agent.exited() !== undefined);
    const [begun, seen] = [arrived(), await processes()];
    await until("its deadline", () => agent.exited() !== undefined, { deadlineMs: 120_000 });
    expect(agent.output()).toContain(`did not end within ${seconds}000 ms and was killed`);
    await until("all of it to be gone", async () => (await processes()).length === 0);
    return begun && seen.length > 0;
  };
  // The grandchild is late on a machine that is busy.
  expect((await inTime(5)) || (await inTime(60))).toBe(true);
  expect(await scriptDirectories()).toEqual([]);
});

test("what a script left goes on when it has ended by itself, and ends with an agent that is killed before that", async () => {
  const left = (mark: string) =>
    `require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "${mark}"], { detached: true, stdio: "ignore" }).unref();`;
  const processes = async (mark: string) =>
    (await wine.processes()).filter(({ command }) => command.includes(mark) && !command.includes("installed.js"));
  expect(await run(`#!foo.exe\n${left("left-mark")}`)).toMatchObject({ status: 0 });
  const [leftOver, ...others] = await processes("left-mark");
  expect([leftOver !== undefined, others, (await scriptDirectories()).length]).toEqual([true, [], 1]);
  await writeFile(join(wine.drive, "long"), `#!foo.exe\n${left("killed-mark")}\nsetInterval(() => {}, 1000);`);
  const agent = await wine.startAgent(runScript("long"));
  await until("what it starts", async () => (await processes("killed-mark")).length > 0);
  await agent.kill();
  await until("it to end with its agent", async () => (await processes("killed-mark")).length === 0);
  process.kill(leftOver?.pid ?? 0, "SIGKILL");
  await until("the other to end", async () => (await processes("left-mark")).length === 0);
  // What could not be removed while it was somebody's working directory, the next one takes away.
  expect(await run("@echo x\r\n")).toMatchObject({ status: 0, out: "x\n" });
  expect(await scriptDirectories()).toEqual([]);
});
