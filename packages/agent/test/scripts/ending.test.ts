import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { newSigningKey, sha256, signBundle } from "@sallyport/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ConnectionScripts, ConnectionScriptsOptions } from "../../src/scripts/connection-scripts.ts";
import { openAdministratorScripts } from "../../src/service/administrator-scripts.ts";
import { type PretendServer, pretendServer, script, ticket } from "./pretend-server.ts";
import { facts, scriptsOf } from "./scripts-of.ts";

let directory: string;
let server: PretendServer;
let told: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-ending-"));
  server = await pretendServer(directory);
  told = [];
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

const longMs = 600_000;
const started = () => join(directory, "started");
const endlessText = () => `#!/bin/sh\necho $$ >${started()}; exec sleep 600\n`;

/** The script's process, once it runs. */
async function running(): Promise<number> {
  while (!existsSync(started()) || (await readFile(started(), "utf8")) === "") await wait(10);
  return Number(await readFile(started(), "utf8"));
}

async function isGone(pid: number): Promise<void> {
  while ((await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z")).split(") ")[1]?.[0] !== "Z") await wait(10);
}

function connectionScripts(administrator: ConnectionScriptsOptions["administrator"]): ConnectionScripts {
  return scriptsOf(server, directory, {
    connectDeadlineMs: longMs,
    disconnectDeadlineMs: longMs,
    administrator,
    tell: (text) => told.push(text),
  });
}

test("a script that goes on and on is told of, and ended at once when the person is in a hurry", async () => {
  server.scripts = [script({ text: endlessText() })];
  const scripts = connectionScripts({ missing: "no service here" });
  scripts.connected(facts, 0);
  const pid = await running();
  scripts.disconnected(true);
  const hurry = new AbortController();
  const finished = scripts.finish(longMs, hurry.signal);
  while (told.length === 0) await wait(10);
  expect(told[0]).toContain("still running");
  hurry.abort();
  await finished;
  await isGone(pid);
  expect(await readdir(join(directory, "scripts"))).toEqual([]);
  expect(told.at(-1)).toContain("the agent was ended");
});

test("the user's own scripts run on disconnect though administrators' cannot", async () => {
  const event = "disconnect";
  const text = `#!/bin/sh\necho ran >${started()}\n`;
  server.scripts = [script({ event, privilege: "admin" }), script({ event, text })];
  const scripts = connectionScripts({
    nonce: async () => "n".repeat(32),
    take: async () => undefined,
    run: async () => {
      throw new Error("the service is gone");
    },
    close: async () => undefined,
  });
  scripts.connected(facts, 0);
  await scripts.finish(longMs);
  scripts.disconnected(false);
  await scripts.finish(longMs);
  expect(await readFile(started(), "utf8")).toBe("ran\n");
  expect(told).toContain("administrator scripts: the service is gone");
});

test("administrator scripts that do not end are not waited for longer than others", async () => {
  server.scripts = [script({ privilege: "admin" })];
  const closed: (number | undefined)[] = [];
  const begun = Promise.withResolvers<void>();
  const scripts = connectionScripts({
    nonce: async () => "n".repeat(32),
    take: async () => undefined,
    run: () => {
      begun.resolve();
      return new Promise(() => undefined);
    },
    close: async (withinMs) => void closed.push(withinMs),
  });
  scripts.connected(facts, 0);
  await begun.promise;
  await scripts.finish(50);
  expect(closed).toEqual([0]);
  expect(told.join("\n")).toContain("not waited for");
});

test("an administrator script is not left running for a connection that is over", async () => {
  const key = newSigningKey();
  const policyPath = join(directory, "policy.json");
  const owners = { serverId: "server-1", name: "vpn.example.org", publicKeys: [key.publicKey], scripts: [] };
  const policy = { tunnels: [], administratorScripts: "trust", servers: [owners] };
  await writeFile(policyPath, JSON.stringify(policy), { mode: 0o644 });
  const scripts = openAdministratorScripts({
    policyPath,
    directory,
    connectDeadlineMs: longMs,
    disconnectDeadlineMs: longMs,
    log: () => undefined,
  });
  const nonce = await scripts.nonce();
  const text = JSON.stringify(
    signBundle(
      {
        ...{ id: "b", issuedAt: new Date().toISOString(), expiresAt: new Date(Date.now() + 60_000).toISOString() },
        ...{ serverId: "server-1", connectionId: "c", ticketSha256: sha256(ticket), nonce, userId: "alice" },
        ...{ profileId: "office", group: null, platform: "linux", stdin: null, report: null },
        scripts: [script({ privilege: "admin", text: endlessText() })],
      },
      key,
    ),
  );
  expect(await scripts.take({ text, ticket, nonce })).toBeUndefined();
  const ran = scripts.run("connect", { reconnects: 0, graceful: false });
  const pid = await running();
  await scripts.close(50);
  await isGone(pid);
  expect(await ran).toMatchObject([{ outcome: "timed-out" }]);
  expect(await readdir(join(directory, "scripts"))).toEqual([]);
});

test("an agent that is made to end at once leaves no script running", async () => {
  const module = resolve(import.meta.dirname, "../../src/scripts/run-script.ts");
  const account = resolve(import.meta.dirname, "../../src/machine/account.ts");
  const code = `
    const { runScript } = await import(${JSON.stringify(module)});
    const { ownAccount } = await import(${JSON.stringify(account)});
    process.on("SIGTERM", () => process.exit(130));
    const text = ${JSON.stringify(endlessText())};
    await runScript({ name: "x.sh", text, sha256: ${JSON.stringify(sha256(endlessText()))}, environment: {} }, {
      connection: { userId: "u", profileId: "p", server: "s", reconnects: 0, graceful: false },
      account: await ownAccount(), session: {}, stdin: null, deadlineMs: ${longMs}, mostOutputBytes: 1000,
      base: ${JSON.stringify(join(directory, "scripts"))}, python: "auto", platform: "linux",
    });`;
  const agent = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: "ignore" });
  const pid = await running();
  const ended = once(agent, "exit");
  agent.kill("SIGTERM");
  await ended;
  await isGone(pid);
});
