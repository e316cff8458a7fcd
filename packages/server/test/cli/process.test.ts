import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mainFile, type Outcome, sallyport } from "./sallyport.ts";
import { challengedUser, startTestDaemon, type TestDaemon } from "./test-daemon.ts";

const onTerminal = resolve(import.meta.dirname, "../fixtures/cli/on-terminal.py");

let daemon: TestDaemon;
let aside: string;

beforeAll(async () => {
  daemon = await startTestDaemon();
  aside = await mkdtemp(join(tmpdir(), "aside-"));
});

afterAll(async () => {
  await daemon.close();
  await rm(aside, { recursive: true, force: true });
});

async function typed(
  args: readonly string[],
  steps: readonly (readonly [waitFor: string, type: string])[],
): Promise<{ status: number; screen: string }> {
  const { stdout } = await promisify(execFile)(
    "python3",
    [onTerminal, JSON.stringify(steps), process.execPath, mainFile, "--config", daemon.config, ...args],
    { encoding: "utf8" },
  );
  return JSON.parse(stdout);
}

/** In a data directory where nothing answers. */
async function configOf(name: string, dataDirectory: string): Promise<string> {
  const file = join(aside, `${name}.yaml`);
  await writeFile(file, `dataDirectory: ${dataDirectory}\n`);
  return file;
}

test("--config and --json may stand anywhere, and the working directory does not matter", async () => {
  const lines = [
    ["--config", daemon.config, "--json", "user", "list"],
    ["user", "--json", "list", `--config=${daemon.config}`],
  ];
  const outcomes = await Promise.all(lines.map((line) => sallyport(line, { cwd: "/" })));
  expect(outcomes).toEqual(lines.map(() => ({ status: 0, stdout: "[]\n", stderr: "" })));
});

test("a configuration with faults, and a relative data directory, still lead to the daemon", async () => {
  await symlink(daemon.directory, join(aside, "data"));
  const config = join(aside, "relative.yaml");
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration file's own spelling
  await writeFile(config, "dataDirectory: ${WHERE}/data\nprofiles: [\n  - {");
  const outcome = await sallyport(["config", "list", "--json"], { config, environment: { WHERE: "." } });
  expect(outcome).toMatchObject({ status: 0, stdout: "[]\n" });
});

test("where no daemon runs, the person learns how to start one or where to look", async () => {
  await mkdir(join(aside, "stale"));
  const bind = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])";
  await promisify(execFile)("python3", ["-c", bind, join(aside, "stale", "admin.sock")]);
  const missing = join(aside, "missing.yaml");
  const silent = join(aside, "silent.yaml");
  await writeFile(silent, "node: {}\n");
  const cases = [
    [await configOf("absent", join(aside, "absent")), "no daemon answers at"],
    [await configOf("stale", join(aside, "stale")), "no daemon answers at"],
    [missing, "cannot be read: there is no such file"],
    [silent, "names no dataDirectory"],
  ] as const;
  for (const [config, message] of cases) {
    const { status, stdout, stderr } = await sallyport(["user", "list"], { config });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain("daemon-unreachable");
    expect(stderr).toContain(message);
    expect(stderr).toContain("sallyport serve");
  }
});

test("wrong usage ends with 2, help with 0", async () => {
  const wrong = [
    ["usr"],
    ["user"],
    ["user", "add"],
    ["user", "add", "a", "b"],
    ["user", "list", "-x"],
    ["--config"],
    [],
  ];
  const outcomes = await Promise.all(wrong.map((line) => sallyport(line, { config: daemon.config })));
  expect(outcomes.map(({ status, stdout }) => [status, stdout])).toEqual(wrong.map(() => [2, ""]));
  expect(outcomes.every(({ stderr }) => stderr !== "")).toBe(true);
  const help = await sallyport(["connection", "--help"]);
  expect(help).toMatchObject({ status: 0, stdout: expect.stringContaining("kill"), stderr: "" });
});

test("an argument of broken UTF-8 is refused before anything is done", async () => {
  // Node cannot pass such bytes on; a shell can.
  const line = 'exec "$0" "$1" --config "$2" user add "$(printf \'caf\\351\')"';
  const child = spawn("/bin/sh", ["-c", line, process.execPath, mainFile, daemon.config], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, "close")]);
  expect({ status, stderr }).toEqual({ status: 2, stderr: "sallyport: an argument is not valid UTF-8\n" });
});

test("a reader that goes away early is nothing to speak of", async () => {
  await Promise.all(Array.from({ length: 300 }, (_, i) => daemon.store.settings.set(`long.${i}`, "x".repeat(1000))));
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's spelling
  const line = '"$0" "$1" --config "$2" --json config list | head -n 1; echo "${PIPESTATUS[0]}"';
  const { stdout, stderr } = await promisify(execFile)("bash", ["-c", line, process.execPath, mainFile, daemon.config]);
  expect({ stdout, stderr }).toEqual({ stdout: "[\n0\n", stderr: "" });
});

test("what could not be written where standard output goes is a failure, told in a line", async () => {
  const line = 'exec "$0" "$1" --config "$2" --json config list > /dev/full';
  const child = spawn("/bin/sh", ["-c", line, process.execPath, mainFile, daemon.config], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, "close")]);
  const told = "sallyport: what was to be printed could not be written: the disk is full\n";
  expect({ status, stderr }).toEqual({ status: 1, stderr: told });
});

test("a data directory that cannot be one is no fault of the program's", async () => {
  const file = join(aside, "a file");
  await writeFile(file, "");
  for (const [directory, why] of [
    [file, "it is no directory"],
    [join(file, "data"), "a part of the path is no directory"],
  ] as const) {
    const { status, stderr } = await sallyport(["serve"], { config: await configOf("file", directory) });
    const told = `sallyport: store-unavailable: the data directory ${directory} cannot be used: ${why}\n`;
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(told) });
  }
});

test.each([
  ["the program", "cli/program.ts", "SIGTERM"],
  ["the daemon", "compose/serve.ts", "SIGTERM"],
  ["the daemon", "compose.ts", "SIGINT"],
])(
  "a stop that comes while %s is loaded (%s, %s) ends it in good order, and nothing is left",
  async (_what, file, signal) => {
    const data = join(aside, "never begun");
    const watch = `import { registerHooks } from "node:module";
    const load = (url, context, next) => {
      if (url.endsWith("/server/src/${file}")) process.kill(process.pid, "${signal}");
      return next(url, context);
    };
    registerHooks({ load });`;
    const environment = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(watch)}` };
    const config = await configOf("early", data);
    const { status, stdout, stderr } = await sallyport(["serve"], { config, environment });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    expect(stderr).toContain(`"signal":"${signal}","msg":"stopped before anything was started"`);
    await expect(readdir(data)).rejects.toThrow("ENOENT");
  },
);

test("a password is typed twice on a terminal, and never seen", async () => {
  const { status, screen } = await typed(
    ["user", "add", "tina"],
    [
      ["Password for tina", "hunter2\r"],
      ["again", "hunter2\r"],
    ],
  );
  expect(status).toBe(0);
  expect(screen).toContain("Added user tina.");
  expect(screen).not.toContain("hunter2");
  expect(await daemon.json(["authcli", "-u", "tina"], "hunter2")).toMatchObject({ status: "SUCCEED" });
});

test("what is pasted before it is asked for is neither shown nor lost", async () => {
  const { status, screen } = await typed(
    ["user", "password", "tina"],
    [["Password for tina", "swordfish\rswordfish\r"]],
  );
  expect(status).toBe(0);
  expect(screen).not.toContain("swordfish");
  await daemon.json(["user", "password", "tina", "--password-stdin"], "hunter2");
});

test("two different passwords change nothing, and an empty one is none", async () => {
  const different = await typed(
    ["user", "password", "tina"],
    [
      ["Password for tina", "first\r"],
      ["again", "second\r"],
    ],
  );
  expect(different).toMatchObject({ status: 2, screen: expect.stringContaining("the two passwords differ") });
  expect(await daemon.json(["authcli", "-u", "tina"], "hunter2")).toMatchObject({ status: "SUCCEED" });
  const none = await typed(["user", "add", "nora"], [["Password for nora", "\r"]]);
  expect(none).toMatchObject({ status: 0, screen: expect.stringContaining("It has no password") });
});

test("Ctrl-C at a question ends the command, and the terminal works as before", async () => {
  const { status } = await typed(["user", "password", "tina"], [["Password for tina", "\u0003"]]);
  expect(status).toBe(130);
  const line = '"$0" "$@"; stty -a | grep -o -w -e -echo -e echo';
  const { stdout } = await promisify(execFile)("python3", [
    onTerminal,
    JSON.stringify([["Password for tina", "\u0003"]]),
    "bash",
    "-c",
    line,
    process.execPath,
    mainFile,
    "--config",
    daemon.config,
    "user",
    "password",
    "tina",
  ]);
  expect(JSON.parse(stdout).screen.trim().split("\r\n").at(-1)).toBe("echo");
});

test("authcli asks for the password and each answer on the terminal, showing only what may be shown", async () => {
  await daemon.json(["user", "add", challengedUser, "--password-stdin"], "hunter2");
  const { status, screen } = await typed(
    ["authcli", "-u", challengedUser],
    [
      ["Password: ", "hunter2\r"],
      ["Your pet's name?", "Rex\r"],
      ["Your PIN?", "1234\r"],
    ],
  );
  expect(status).toBe(0);
  expect(screen).not.toContain("hunter2");
  expect(screen).toMatch(/Your pet's name\? .*Rex/);
  expect(screen).toContain("reason : local auth succeeded with 1234");
});

test("many command lines at once each get their own answer", async () => {
  const names = Array.from({ length: 6 }, (_, i) => `many${i}`);
  const added = await Promise.all(
    names.map((name) => sallyport(["user", "add", name, "--json"], { config: daemon.config })),
  );
  expect(added.map(({ status, stdout }) => [status, JSON.parse(stdout).id])).toEqual(names.map((name) => [0, name]));
  const twins = await Promise.all([1, 2].map(() => sallyport(["user", "add", "twin"], { config: daemon.config })));
  expect(twins.map(({ status }: Outcome) => status).sort()).toEqual([0, 1]);
});

test("the command ends though its standard input stays open", async () => {
  const child = spawn(
    process.execPath,
    [mainFile, "--config", daemon.config, "user", "password", "tina", "--password-stdin"],
    {
      stdio: ["pipe", "ignore", "inherit"],
    },
  );
  child.stdin.write("hunter2\n");
  const [status] = await once(child, "close");
  child.stdin.destroy();
  expect(status).toBe(0);
});

test("a command that asks the daemon loads none of what the daemon is made of", async () => {
  const coverage = join(aside, "coverage");
  const child = spawn(process.execPath, [mainFile, "--config", daemon.config, "user", "list", "--json"], {
    env: { ...process.env, NODE_V8_COVERAGE: coverage },
    stdio: ["ignore", "ignore", "inherit"],
  });
  expect(await once(child, "close")).toEqual([0, null]);
  const [file = ""] = await readdir(coverage);
  const { result } = JSON.parse(await readFile(join(coverage, file), "utf8")) as { result: { url: string }[] };
  const urls = result.map(({ url }) => url).filter((url) => url.startsWith("file:"));
  expect(urls.filter((url) => url.includes("/src/cli/")).length).toBeGreaterThan(5);
  const packages = urls
    .map((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1])
    .filter((name) => name !== undefined);
  expect([...new Set(packages)].sort()).toEqual(["commander", "yaml"]);
  expect(urls.filter((url) => /\/src\/(compose|store|drivers|api)/.test(url))).toEqual([]);
});
