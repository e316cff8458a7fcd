import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { until } from "../waiting.ts";
import { openLedger, type TestLedger } from "./ledger.ts";

const append = join(import.meta.dirname, "fixtures", "append");
let ledger: TestLedger;
let directory: string;
const hosts = new Set<ChildProcess>();

beforeEach(async () => {
  ledger = await openLedger();
  directory = await mkdtemp(join(tmpdir(), "hooks-killed-"));
});

afterEach(async () => {
  await resume();
  await Promise.all([...hosts].map(kill));
  await ledger[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

/** The hook leaves word that it was told, and then hangs until `resume`. */
const hold = () => writeFile(join(directory, "wait"), "");
const resume = () => rm(join(directory, "wait"), { force: true });

type Word = { event: string; eventId: string; attempt: string; sessionId: string };

async function words(): Promise<Word[]> {
  const text = await readFile(join(directory, "told"), "utf8").catch(() => "");
  return text
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [event = "", eventId = "", attempt = "", sessionId = ""] = line.split(" ");
      return { event, eventId, attempt, sessionId };
    });
}

/** A process that delivers from the same database, as the daemon does. */
async function host(role: "veto" | "observe", sessionId?: string): Promise<ChildProcess> {
  const file = join(ledger.directory, "test.sqlite");
  const args = [join(import.meta.dirname, "delivery-host.ts"), file, append, directory, role];
  const child = spawn(process.execPath, sessionId ? [...args, sessionId] : args, {
    stdio: ["ignore", "pipe", "inherit"],
  });
  hosts.add(child);
  await once(child.stdout, "data");
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  hosts.delete(child);
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

it("killed while it tells an observer, it tells it again: the same event, the next attempt, connect before disconnect", async () => {
  const connection = await ledger.admitted(["hook"]);
  await hold();
  const first = await host("observe");
  await until("the hook is being told", async () => (await words()).length === 1);
  await kill(first);
  // The connection ends while nobody delivers.
  await ledger.end(connection.id, ["hook"], "node-lost");
  const second = await host("observe");
  await until("the hook is told again", async () => (await words()).length === 2);
  await kill(second);
  await resume();
  const third = await host("observe");
  await until("everything is delivered", async () => {
    const all = await ledger.deliveries(connection.id);
    return all.length === 2 && all.every(({ state }) => state === "done");
  });
  await kill(third);
  const { connectEventId, disconnectEventId, id: sessionId } = connection;
  expect(await words()).toEqual([
    { event: "C", eventId: connectEventId, attempt: "1", sessionId },
    { event: "C", eventId: connectEventId, attempt: "2", sessionId },
    { event: "C", eventId: connectEventId, attempt: "3", sessionId },
    { event: "D", eventId: disconnectEventId, attempt: "1", sessionId },
  ]);
});

it("killed while it tells of a disconnect, it tells of it again, under one event id", async () => {
  const connection = await ledger.admitted(["hook"]);
  const first = await host("observe");
  await until("the connect is delivered", async () => (await ledger.deliveries(connection.id))[0]?.state === "done");
  await hold();
  await kill(first);
  await ledger.end(connection.id, ["hook"]);
  const second = await host("observe");
  await until("the hook is being told", async () => (await words()).length === 2);
  await kill(second);
  await resume();
  await host("observe");
  await until("it is delivered", async () =>
    (await ledger.deliveries(connection.id)).every(({ state }) => state === "done"),
  );
  expect((await words()).map(({ event, attempt }) => event + attempt)).toEqual(["C1", "D1", "D2"]);
  expect(new Set((await words()).filter(({ event }) => event === "D").map(({ eventId }) => eventId)).size).toBe(1);
});

it("killed while a veto is asked, it never asks again, and tells of the disconnect once the connection is ended", async () => {
  const connection = await ledger.reserve();
  await hold();
  const first = await host("veto", connection.id);
  await until("the hook is being asked", async () => (await words()).length === 1);
  await kill(first);
  await resume();
  const second = await host("veto");
  expect(await ledger.deliveries(connection.id)).toMatchObject([{ state: "failed", veto: true, attempts: 1 }]);
  // What the start finds reserved and without a tunnel, it ends.
  await ledger.end(connection.id, ["hook"], "node-lost");
  await kill(second);
  await host("veto");
  await until("the disconnect is delivered", async () =>
    (await ledger.deliveries(connection.id)).some(({ event, state }) => event === "disconnect" && state === "done"),
  );
  expect((await words()).map(({ event, attempt }) => event + attempt)).toEqual(["C1", "D1"]);
});
