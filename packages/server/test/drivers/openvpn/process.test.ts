import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  findServers,
  makeListenerDirectory,
  markAttached,
  startServer,
  wasAttached,
} from "../../../src/drivers/openvpn/process.ts";
import { endProcess, isRunning } from "../../../src/drivers/running-process.ts";
import { until } from "../../waiting.ts";

let home: string;
let directory: string;
const fingerprint = "0123456789abcdef";

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "process-"));
  directory = join(home, "udp");
  await makeListenerDirectory(directory);
});
afterEach(async () => {
  for (const one of [directory, join(home, "udp2")]) {
    for (const { pid } of await findServers(one)) process.kill(pid, "SIGKILL");
    await until("processes to end", async () => (await findServers(one)).length === 0);
  }
  await rm(home, { recursive: true });
});

/** A program that lives, and does with SIGTERM what it is told; it says `ready` once it does. */
async function program(onTerm: "end" | "ignore"): Promise<string> {
  const script = join(home, `${onTerm}.mjs`);
  const handler = onTerm === "ignore" ? 'process.on("SIGTERM", () => undefined);' : "";
  await writeFile(script, `${handler} console.log("ready"); setInterval(() => undefined, 1e6);\n`);
  const path = join(home, onTerm);
  await writeFile(path, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`, { mode: 0o755 });
  return path;
}

async function start(onTerm: "end" | "ignore", where = directory) {
  const server = await startServer({ directory: where, program: await program(onTerm), config: "x\n", fingerprint });
  await until("the program", async () => (await readFile(join(where, "openvpn.log"), "utf8")).includes("ready"));
  return server;
}

test("a started server is found by its configuration, in a session of its own, with what it prints in a file", async () => {
  const server = await start("end");
  expect(await findServers(directory)).toEqual([server]);
  const fields = (await readFile(`/proc/${server.pid}/stat`, "utf8")).split(") ").at(-1)?.split(" ") ?? [];
  expect(Number(fields[3])).toBe(server.pid);
  expect((await stat(join(directory, `server-${fingerprint}.conf`))).mode & 0o777).toBe(0o600);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  const environment = (await readFile(`/proc/${server.pid}/environ`, "utf8")).split("\0").filter(Boolean);
  expect(
    environment
      .map((pair) => pair.split("=")[0])
      .filter((name) => name !== "PWD")
      .sort(),
  ).toEqual(["LANG", "PATH"]);
});

test("a server of a directory whose name only begins alike is another's", async () => {
  const other = join(home, "udp2");
  await makeListenerDirectory(other);
  await start("end", other);
  expect(await findServers(directory)).toEqual([]);
  expect((await findServers(other)).length).toBe(1);
});

test("a server that does not end when asked is killed", async () => {
  const server = await start("ignore");
  await endProcess(server, 200);
  expect(await isRunning(server)).toBe(false);
  expect(await findServers(directory)).toEqual([]);
});

test("a process that nobody has collected yet has ended, and a pid given out anew is another process", async () => {
  const parent = spawn("sh", ["-c", "sleep 0.5 & echo $!; exec sleep 1000"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const [line] = await once(parent.stdout, "data");
    const pid = Number(String(line).trim());
    await until("a zombie", async () => /\) Z /.test(await readFile(`/proc/${pid}/stat`, "utf8")));
    const startTime = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ").at(-1)?.split(" ")[19] ?? "";
    expect(await isRunning({ pid, startTime })).toBe(false);
    expect(await isRunning({ pid: process.pid, startTime: "1" })).toBe(false);
  } finally {
    parent.kill("SIGKILL");
  }
});

test("a program that is not there says so, and configurations of before are removed", async () => {
  await writeFile(join(directory, "server-ffffffffffffffff.conf"), "old");
  const starting = startServer({ directory, program: "/no/such", config: "x\n", fingerprint });
  await expect(starting).rejects.toMatchObject({ code: "driver-failed", message: expect.stringContaining("/no/such") });
  expect((await readdir(directory)).filter((name) => name.startsWith("server-"))).toEqual([
    `server-${fingerprint}.conf`,
  ]);
});

test("which process was attached last is remembered", async () => {
  const one = { pid: 12, startTime: "34" };
  expect(await wasAttached(directory, one)).toBe(false);
  await markAttached(directory, one);
  expect(await wasAttached(directory, one)).toBe(true);
  expect(await wasAttached(directory, { ...one, startTime: "35" })).toBe(false);
});

test("a directory too deep for a socket is refused", async () => {
  const deep = join(home, "x".repeat(100));
  await mkdir(deep);
  await expect(makeListenerDirectory(deep)).rejects.toMatchObject({ code: "driver-failed" });
});
