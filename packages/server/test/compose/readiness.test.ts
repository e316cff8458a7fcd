import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createReadiness } from "../../src/compose/readiness.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";

let directory: string;
let store: Store;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ready-"));
  store = await openSqlite({ file: join(directory, "sallyport.db"), busyTimeoutMs: 300 });
});

afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const up = { profileId: "office", up: true };
const down = { profileId: "office", up: false };
const readiness = (change: Partial<Parameters<typeof createReadiness>[0]> = {}) =>
  createReadiness({ started: () => true, listeners: () => [up], store, dataDirectory: directory, ...change });

test("a daemon whose servers and database answer is ready, and one that is starting is not", async () => {
  expect(await readiness()()).toBeUndefined();
  expect(await readiness({ started: () => false })()).toContain("starting");
});

test("a profile that no VPN daemon serves makes it unready; one of its two listeners does not", async () => {
  expect(await readiness({ listeners: () => [up, down] })()).toBeUndefined();
  expect(await readiness({ listeners: () => [down, { ...up, profileId: "lab" }] })()).toContain("profile office");
});

test("a database that another program has locked makes it unready for as long", async () => {
  const ready = readiness();
  const other = new Database(join(directory, "sallyport.db"));
  other.exec("begin immediate");
  expect(await ready()).toMatch(/database|locked/);
  other.exec("rollback");
  other.close();
  while ((await ready()) !== undefined) await pause(100);
});
