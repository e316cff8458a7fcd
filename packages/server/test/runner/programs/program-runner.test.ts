import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createProgramRunner } from "../../../src/runner/programs/program-runner.ts";
import type { Program, ProgramResult } from "../../../src/runner/runner.ts";
import { until } from "../../waiting.ts";
import { isRunning } from "../processes.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const runner = createProgramRunner({ log: silent });
const asRoot = userInfo().uid === 0;
const toKill = new Set<number>();
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "program-runner-test-"));
});

afterEach(() => {
  for (const pid of toKill) if (isRunning(pid)) process.kill(pid, "SIGKILL");
  toKill.clear();
});

afterAll(() => rm(directory, { recursive: true, force: true }));

function run(fixture: string, changes: Partial<Program> = {}): Promise<ProgramResult> {
  return runner.run({
    path: fixture.startsWith("/") ? fixture : join(fixtures, fixture),
    args: [],
    environment: { PATH: "/usr/bin:/bin" },
    account: undefined,
    workingDirectory: directory,
    stdin: "",
    deadlineMs: 20_000,
    maxOutputBytes: 16_384,
    ...changes,
  });
}

function pidIn(text: string): number {
  const pid = Number(/(\d+)\s*$/.exec(text)?.[1]);
  toKill.add(pid);
  return pid;
}

describe("what a program gets", () => {
  it("is exactly the environment given, byte for byte, whatever the daemon has and whatever its locale", async () => {
    const environment = {
      PATH: "/usr/bin:/bin",
      LANG: "C",
      LC_ALL: "C",
      QUOTES: `'"\`$(touch /tmp/never) ; & | > < * ? \\ !`,
      LINES: "one\ntwo\r\n\tthree\n",
      LETTERS: "Zoë Łukasz 山田太郎 🦊 \u0001\u007f",
      EMPTY: "",
      EQUALS: "a=b=c",
    };
    process.env.SALLYPORT_TEST_LEAK = "must not be seen";
    const { output } = await run("print-environment", { environment });
    delete process.env.SALLYPORT_TEST_LEAK;
    const seen = Buffer.from(output.trim(), "hex").toString("utf8").split("\0").slice(0, -1);
    expect(seen.toSorted()).toEqual(
      Object.entries(environment)
        .map(([name, value]) => `${name}=${value}`)
        .toSorted(),
    );
  });

  it("is its input, readable by name too, and outputs that can be opened by name", async () => {
    const stdin = `${"x".repeat(200_000)}\nthe end\n`;
    const result = await run("echo-stdin", { stdin, maxOutputBytes: 1_000_000 });
    expect(result).toMatchObject({ outcome: "exited", exitStatus: 0, output: `${stdin}read\n` });
  });

  it("is no open file beside the three", async () => {
    const host = join(import.meta.dirname, "list-descriptors-host.ts");
    const kept = await promisify(execFile)("/bin/sh", [
      "-c",
      'exec "$@" 7</etc/passwd 99</etc/passwd',
      "sh",
      process.execPath,
      host,
    ]);
    // The fourth is the listing's own.
    expect(JSON.parse(kept.stdout)).toEqual({ output: "0\n1\n2\n3\n" });
  });

  it("is its own process group and session, and default signal handling", async () => {
    const { output } = await run("/bin/sh", {
      args: [
        "-c",
        "read -r pid comm state ppid pgrp session rest < /proc/self/stat; echo $pid $pgrp $session; grep SigIgn /proc/self/status",
      ],
    });
    const [ids = "", ignored] = output.trim().split("\n");
    expect(new Set(ids.split(" ")).size).toBe(1);
    // Bit n stands for signal n+1; those from 32 on are the C library's own, and whoever started the tests may ignore them.
    const [, mask = ""] = /^SigIgn:\s*([0-9a-f]+)$/.exec(ignored ?? "") ?? [];
    expect(BigInt(`0x${mask}`) & 0x7fff_ffffn).toBe(0n);
  });

  it.runIf(asRoot)("is another account's rights, home and nothing of root's groups, where one is named", async () => {
    const { stdout } = await promisify(execFile)("getent", ["passwd", "nobody"]);
    const home = stdout.split(":")[5];
    await chmod(directory, 0o755);
    // The checkout may lie where only root can go.
    const program = join(directory, "who-am-i");
    await copyFile(join(fixtures, "who-am-i"), program);
    await chmod(program, 0o755);
    const result = await run(program, {
      account: "nobody",
      environment: { PATH: "/usr/bin:/bin", HOME: "/root" },
      stdin: "in\n",
    });
    expect(result.output).toBe(`nobody\nnogroup\n${home}\n${directory}\nstill allowed\nin\n`);
  });
});

describe("what it prints", () => {
  it("is kept in the order it was written to both outputs", async () => {
    const { output } = await run("interleave");
    expect(output).toBe("out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\nthe end\n");
  });

  it("is bounded, and keeps the beginning and the end of a gigabyte", async () => {
    const before = process.memoryUsage.rss();
    const result = await run("print-much", { maxOutputBytes: 1_000, deadlineMs: 60_000 });
    expect(result).toMatchObject({ outcome: "exited", exitStatus: 0 });
    expect(result.output).toMatch(/^the first line\nx+\n\[… 9\d+ bytes left out …\]\nx+\nthe last line\n$/);
    expect(result.output.length).toBeLessThan(1_100);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200_000_000);
  }, 90_000);

  it("is text, whatever bytes it was", async () => {
    const { output } = await run("/usr/bin/printf", { args: ["a\\000b\\377c\\n"] });
    expect(output).toBe("a\ufffdb\ufffdc\n");
  });

  it("is complete at each end, however soon that comes", async () => {
    const results = await Promise.all(Array.from({ length: 60 }, (_, i) => run("/bin/echo", { args: [`word ${i}`] })));
    expect(results.map(({ output }) => output)).toEqual(results.map((_, i) => `word ${i}\n`));
  });
});

describe("how it ends", () => {
  it.each([0, 1, 77, 126, 127, 255])("is told: exit status %d", async (status) => {
    const result = await run("exit-with", { stdin: `${status}\n` });
    expect(result).toMatchObject({ outcome: "exited", exitStatus: status, signal: null, error: null });
  });

  it("is told: killed by a signal", async () => {
    const result = await run("kill-itself");
    expect(result).toMatchObject({
      outcome: "signalled",
      exitStatus: null,
      signal: "SIGSEGV",
      error: null,
      output: "before\n",
    });
  });

  it("comes at the deadline to the whole group, even to those that ignore being asked to stop", async () => {
    const result = await run("hang", { deadlineMs: 4_000 });
    expect(result).toMatchObject({ outcome: "timed-out", exitStatus: null, signal: "SIGKILL" });
    expect(result.error).toContain(`${join(fixtures, "hang")} did not end within 4000 ms`);
    const [parent, child] = result.output.trim().split(" ").map(Number) as [number, number];
    expect(isRunning(parent)).toBe(false);
    await until("the child is gone", () => !isRunning(child));
  });

  it("comes to background children too at the deadline", async () => {
    const result = await run("background-and-hang", { deadlineMs: 4_000 });
    expect(result.outcome).toBe("timed-out");
    const child = pidIn(result.output);
    await until("the child is gone", () => !isRunning(child));
  });

  it("is the program's own: a background child that holds the output open neither delays it nor is killed", async () => {
    const file = join(directory, "left-behind");
    const result = await run("background", { stdin: `${file}\n` });
    expect(result).toMatchObject({ outcome: "exited", exitStatus: 0 });
    const child = pidIn(result.output);
    expect(isRunning(child)).toBe(true);
    await writeFile(`${file}.go`, "");
    // It prints before it leaves word: a broken pipe would have killed it.
    await until("the child went on", () => existsSync(file));
    expect(result.output).toBe(`child ${child}\n`);
  });

  it("comes at once when the run is aborted", async () => {
    const abort = new AbortController();
    const running = run("hang", { abort: abort.signal });
    abort.abort();
    const result = await running;
    expect(result).toMatchObject({ outcome: "signalled", signal: "SIGKILL" });
    expect(result.error).toContain("was ended before it was done");
  });

  it("is that of the program as it was when it started, though it is replaced meanwhile", async () => {
    const path = join(directory, "replaced");
    const gate = join(directory, "gate");
    await writeFile(path, `#!/bin/sh\nwhile [ ! -e ${gate} ]; do sleep 0.02; done\necho old\n`, { mode: 0o755 });
    const running = run(path);
    await writeFile(`${path}.new`, "#!/bin/sh\necho new\n", { mode: 0o755 });
    await until("the old one runs", () => childrenRun(path));
    await rename(`${path}.new`, path);
    await writeFile(gate, "");
    expect((await running).output).toBe("old\n");
    expect((await run(path)).output).toBe("new\n");
  });
});

describe("what keeps it from starting is told with the path and what to do", () => {
  it.each([
    ["no-such-program", /no-such-program does not exist; put the program there/],
    ["not-executable", /not-executable is not executable; make it so with: chmod 755 /],
    ["missing-interpreter", /missing-interpreter needs \/opt\/no\/such\/interpreter, which does not exist/],
    ["windows-line-ends", /windows-line-ends has Windows line ends \(CRLF\)/],
    ["byte-order-mark", /byte-order-mark begins with a byte-order mark/],
    ["empty", /empty is empty/],
    ["not-a-program", /not-a-program is not a program that this machine can run/],
    ["", /fixtures\/ is a directory; name a program in it/],
    ["hang --verbose", /hang --verbose does not exist; \S+\/hang does: a program gets no arguments, so name it alone/],
    ["exit-with/below", /exit-with\/below does not exist/],
  ])("%j", async (fixture, error) => {
    const path = `${fixtures}/${fixture}`;
    const result = await run(path);
    expect(result).toMatchObject({ outcome: "not-started", exitStatus: null, signal: null, output: "" });
    expect(result.error).toMatch(error);
    expect(await runner.inspect(path)).toMatchObject({ fault: expect.stringMatching(error) });
  });

  it("a first line that names no interpreter, which only a shell would run", async () => {
    const path = `${fixtures}/no-first-line`;
    const error = expect.stringContaining("does not say what runs it; make its first line #!");
    expect(await run(path)).toMatchObject({ outcome: "not-started", error });
    expect(await runner.inspect(path)).toEqual({ interpreter: "/bin/sh", fault: null, throughShell: true });
  });

  it("a relative path", async () => {
    expect(await runner.inspect("fw.sh")).toMatchObject({ fault: expect.stringContaining("is not an absolute path") });
  });

  it("an interpreter that is not executable", async () => {
    const path = join(directory, "bad-interpreter");
    await writeFile(path, `#!${fixtures}/not-executable\n`, { mode: 0o755 });
    expect((await run(path)).error).toContain(`needs ${fixtures}/not-executable, which is not executable`);
  });

  it("an account that is not there", async () => {
    const result = await run("interleave", { account: "no-such-account" });
    expect(result).toMatchObject({
      outcome: "not-started",
      error: expect.stringContaining('there is no account "no-such-account"'),
    });
    // getent would take a number for a user id, and a dash for an option.
    for (const account of ["0", "--help", "", "root:x"]) {
      expect((await run("interleave", { account })).error).toContain("there is no account");
    }
  });

  it.runIf(asRoot)("an account that may not run it", async () => {
    const path = join(directory, "private");
    await copyFile(join(fixtures, "interleave"), path);
    await chmod(path, 0o700);
    const result = await run(path, { account: "nobody" });
    expect(result).toMatchObject({
      outcome: "not-started",
      error: expect.stringContaining(`${path} may not be run by the account nobody`),
    });
  });

  it("a missing working directory", async () => {
    const { error } = await run("interleave", { workingDirectory: join(directory, "gone") });
    expect(error).toContain(`its working directory ${join(directory, "gone")} is missing`);
  });

  it.each([
    [{ VPN_USER_ID: "a\0b" }, "the value of VPN_USER_ID holds a NUL byte"],
    [{ VPN_USER_ID: "a\ud800b" }, "the value of VPN_USER_ID is not valid Unicode"],
    [{ "A=B": "" }, '"A=B" cannot be the name of a variable'],
  ])("values that no program can get: %j", async (environment, fault) => {
    const result = await run("interleave", { environment });
    expect(result).toMatchObject({ outcome: "not-started", error: expect.stringContaining(fault) });
  });

  it("values that are too long", async () => {
    const result = await run("interleave", { environment: { LONG: "x".repeat(4_000_000) } });
    expect(result).toMatchObject({ outcome: "not-started", error: expect.stringContaining("(E2BIG)") });
  });
});

describe("a path", () => {
  it("may hold a space, and is never taken apart", async () => {
    const result = await run("with a space");
    expect(result.output).toBe(`found: ${join(fixtures, "with a space")} with 0 arguments\n`);
  });

  it("may be a link", async () => {
    const link = join(directory, "link $(touch never); '\"");
    await symlink(join(fixtures, "interleave"), link);
    expect(await run(link)).toMatchObject({ outcome: "exited", exitStatus: 0 });
  });

  it("may be one that is just being written: it is waited for, but not for ever", async () => {
    const path = join(directory, "busy");
    await copyFile(join(fixtures, "interleave"), path);
    await chmod(path, 0o755);
    const openFor = (script: string) => {
      // Opened for writing elsewhere, as an installer does: execve says ETXTBSY until it is closed.
      const writer = spawn("/bin/sh", ["-c", `exec 3>>"$1"; echo open; ${script}`, "sh", path], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      return new Promise<typeof writer>((resolve) => writer.stdout.once("data", () => resolve(writer)));
    };
    const lasting = await openFor("read -r _");
    expect(await run(path)).toMatchObject({
      outcome: "not-started",
      error: expect.stringContaining("is being written"),
    });
    lasting.stdin.end("\n");
    await openFor("sleep 0.05");
    expect(await run(path)).toMatchObject({ outcome: "exited", exitStatus: 0 });
  });
});

it("leaves no file behind", async () => {
  const mine = await mkdtemp(join(directory, "tmp-"));
  const kept = process.env.TMPDIR;
  process.env.TMPDIR = mine;
  try {
    const fresh = createProgramRunner({ log: silent });
    await fresh.run({
      path: "/bin/true",
      args: [],
      environment: {},
      account: undefined,
      workingDirectory: "/",
      stdin: "x",
      deadlineMs: 9_000,
      maxOutputBytes: 10,
    });
  } finally {
    if (kept === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = kept;
  }
  expect(await promisify(execFile)("find", [mine])).toMatchObject({ stdout: `${mine}\n` });
});

/** Whether a process runs that names this path. */
async function childrenRun(path: string): Promise<boolean> {
  const { stdout } = await promisify(execFile)("ps", ["-eo", "args"]);
  return stdout.split("\n").includes(`/bin/sh ${path}`);
}
