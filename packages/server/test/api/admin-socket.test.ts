import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { serveAdminSocket } from "../../src/api/admin-socket.ts";
import { type CommandTable, command, joinTables } from "../../src/api/command.ts";
import { secret } from "../../src/api/input.ts";
import { SallyportError } from "../../src/core/errors.ts";
import type { Log } from "../../src/core/log.ts";
import { post, sendRaw } from "./raw-client.ts";

let directory: string;
let path: string;
let closers: (() => Promise<void>)[];
let logged: unknown[][];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "admin-"));
  path = join(directory, "data", "admin.sock");
  closers = [];
  logged = [];
});

afterEach(async () => {
  for (const close of closers) await close();
  await rm(directory, { recursive: true, force: true });
});

const commands: CommandTable = {
  echo: command({
    summary: "Says what it heard.",
    input: z.strictObject({ name: z.string(), times: z.int().default(1) }),
    run: async (input) => input,
  }),
  nothing: command({ summary: "Has no result.", input: z.strictObject({}), run: async () => undefined }),
  refuse: command({
    summary: "Refuses.",
    input: z.strictObject({}),
    run: async () => {
      throw new SallyportError("account-disabled", "the account alice is disabled");
    },
  }),
  break: command({
    summary: "Fails as nobody expected.",
    input: z.strictObject({ password: secret }),
    run: async () => {
      throw new TypeError("the inside of the machine");
    },
  }),
};

const log: Log = {
  debug: (...words) => logged.push(["debug", ...words]),
  info: (...words) => logged.push(["info", ...words]),
  warn: (...words) => logged.push(["warn", ...words]),
  error: (...words) => logged.push(["error", ...words]),
};

async function serve(table = commands) {
  const server = await serveAdminSocket({ path, commands: table, log });
  closers.push(server.close);
  return server;
}

test("a command's result is answered as JSON, with the defaults of its input filled in", async () => {
  await serve();
  expect(await post(path, "/commands/echo", '{"name":"Zoë"}')).toEqual({
    status: 200,
    body: { name: "Zoë", times: 1 },
  });
  expect(await post(path, "/commands/nothing", "{}")).toEqual({ status: 200, body: null });
});

test("what was done is logged with what it was about, and not with what was set", async () => {
  await serve();
  const given = { name: "alice", times: 2, key: "a.b", value: "hunter2", owner: { kind: "group", name: "eng" } };
  await post(path, "/commands/echo", JSON.stringify(given));
  await post(path, "/commands/nothing", "{}");
  const about = { name: "alice", key: "a.b", owner: "group eng" };
  expect(logged).toEqual([
    ["info", { command: "echo", about, outcome: "invalid-input", durationMs: expect.any(Number) }, "command"],
    ["info", { command: "nothing", outcome: "done", durationMs: expect.any(Number) }, "command"],
  ]);
});

test("the socket is its owner's alone, from the moment it has its name", async () => {
  await serve();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(directory, "data"))).mode & 0o777).toBe(0o700);
});

test("an error has the table's status and next step, and the message of the case", async () => {
  await serve();
  const { status, body } = await post(path, "/commands/refuse", "{}");
  expect(status).toBe(403);
  expect(body).toEqual({
    error: {
      code: "account-disabled",
      message: "the account alice is disabled",
      next: "Let it in again with `sallyport user enable NAME`.",
    },
  });
});

test("an unexpected failure tells an id, whose details are in the log and nowhere else", async () => {
  await serve();
  const { status, body } = await post(path, "/commands/break", '{"password":"hunter2"}');
  expect(status).toBe(500);
  const { error } = body as { error: { code: string; message: string } };
  expect(error.code).toBe("internal");
  expect(error.message).not.toContain("inside");
  const id = /[0-9a-f-]{36}/.exec(error.message)?.[0];
  expect(logged).toContainEqual(["error", expect.objectContaining({ id }), expect.any(String)]);
  expect(JSON.stringify(logged)).not.toContain("hunter2");
});

const faults: [what: string, command: string, body: string | Buffer, status: number, message: string][] = [
  ["an unknown command", "sing", "{}", 404, "no command"],
  ["a name of every object", "constructor", "{}", 404, "no command"],
  ["an unknown key", "echo", '{"name":"a","admin":true}', 400, "admin"],
  ["a missing key", "echo", "{}", 400, "name: expected string"],
  ["a value of another type", "echo", '{"name":7}', 400, "name: expected string"],
  ["broken JSON", "echo", '{"name":', 400, "JSON"],
  ["a poisoned prototype", "echo", '{"name":"a","__proto__":{"x":1}}', 400, "JSON"],
  ["no body", "echo", "", 400, ""],
  ["a list", "echo", "[]", 400, "expected object"],
  ["broken UTF-8 in JSON", "break", Buffer.from('{"password":"caf\xe9"}', "latin1"), 400, "UTF-8"],
  ["a NUL in a secret", "break", '{"password":"a\\u0000b"}', 400, "NUL"],
  ["half a surrogate pair", "break", '{"password":"a\\ud800"}', 400, "UTF-8"],
];

test.each(faults)("%s is refused and says why", async (_what, name, body, status, message) => {
  await serve();
  const answer = await post(path, `/commands/${name}`, body);
  expect(answer.status).toBe(status);
  const { error } = answer.body as { error: { code: string; message: string; next: string } };
  expect(error.code).toBe(status === 404 ? "not-found" : "invalid-input");
  expect(error.message).toContain(message);
  expect(error.next).not.toBe("");
});

test("anything but POST /commands/NAME with JSON is refused", async () => {
  await serve();
  expect(await post(path, "/commands/echo", "", { method: "GET" })).toMatchObject({ status: 404 });
  expect(await post(path, "/", "{}")).toMatchObject({ status: 404, body: { error: { code: "not-found" } } });
  expect(await post(path, "/commands/echo", "name=a", { contentType: "text/plain" })).toMatchObject({
    status: 400,
    body: { error: { code: "invalid-input" } },
  });
});

test("10 MB are refused in words, and the daemon goes on serving", async () => {
  await serve();
  const body = JSON.stringify({ name: "x".repeat(10_000_000) });
  const answer = await post(path, "/commands/echo", body);
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({
    error: { code: "invalid-input", message: expect.stringContaining("too large") },
  });
  expect((await post(path, "/commands/echo", '{"name":"a"}')).status).toBe(200);
});

test("a script of 1 MB passes", async () => {
  await serve();
  const body = JSON.stringify({ name: `${"x = '\"'\n".repeat(131_072)}` });
  expect((await post(path, "/commands/echo", body)).status).toBe(200);
});

test("what is no HTTP is answered and forgotten", async () => {
  await serve();
  expect(await sendRaw(path, "\0\0\0 END\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
  expect((await post(path, "/commands/echo", '{"name":"a"}')).status).toBe(200);
});

test("the socket of a killed daemon is replaced", async () => {
  const program = `
    const { serveAdminSocket } = await import(${JSON.stringify(join(import.meta.dirname, "../../src/api/admin-socket.ts"))});
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    await serveAdminSocket({ path: process.argv[1], commands: {}, log });
    console.log("up");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect((await stat(path)).isSocket()).toBe(true);
  await serve();
  expect((await post(path, "/commands/echo", '{"name":"a"}')).status).toBe(200);
});

test("the socket of a living daemon is not stolen, and goes on answering", async () => {
  await serve();
  await expect(serveAdminSocket({ path, commands: {}, log })).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("another Sallyport daemon"),
  });
  expect((await post(path, "/commands/echo", '{"name":"a"}')).status).toBe(200);
});

test("of daemons that start at the same moment over a stale socket, one wins", async () => {
  await mkdir(join(directory, "data"));
  execFileSync("python3", ["-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path]);
  const started = await Promise.allSettled(Array.from({ length: 8 }, () => serveAdminSocket({ path, commands, log })));
  const won = started.filter((one) => one.status === "fulfilled");
  closers.push(...won.map((one) => one.value.close));
  expect(started.filter((one) => one.status === "rejected").map((one) => one.reason.code)).toEqual(
    Array(7).fill("conflict"),
  );
  expect(won).toHaveLength(1);
  expect(await readdir(join(directory, "data"))).toEqual(["admin.sock"]);
  expect((await post(path, "/commands/echo", '{"name":"a"}')).status).toBe(200);
});

test("a file that is no socket is left as it is", async () => {
  const kept = join(directory, "kept");
  await writeFile(kept, "precious");
  await symlink(kept, join(directory, "link"));
  for (const place of [kept, join(directory, "link")]) {
    await expect(serveAdminSocket({ path: place, commands, log })).rejects.toMatchObject({ code: "conflict" });
  }
  expect(await readFile(kept, "utf8")).toBe("precious");
});

test("a path too long for a socket is refused in words", async () => {
  const long = join(directory, "x".repeat(100), "admin.sock");
  await expect(serveAdminSocket({ path: long, commands, log })).rejects.toMatchObject({
    code: "invalid-input",
    message: expect.stringContaining("too long"),
  });
});

test("closing removes the socket, but never the one of a daemon that came after", async () => {
  const first = await serve();
  await rm(path);
  await serve();
  await first.close();
  expect((await post(path, "/commands/echo", '{"name":"a"}')).status).toBe(200);
  await closers.pop()?.();
  await expect(stat(path)).rejects.toMatchObject({ code: "ENOENT" });
});

test("a name in two tables is a programming error", () => {
  expect(() => joinTables(commands, commands)).toThrow("two commands are named echo");
});
