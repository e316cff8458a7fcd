import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openSqlite, openSqliteDatabase } from "../../src/store/sqlite.ts";

const program = (name: string) => join(import.meta.dirname, "programs", name);

describe("a SQLite store whose process is killed", () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "crash-"));
    file = join(directory, "sallyport.db");
  });

  afterEach(() => rm(directory, { recursive: true }));

  /** Runs the writer, kills it in the middle of its writing, and gives the things it had called durable. */
  async function writeUntilKilled(lines: number): Promise<Map<string, Set<string>>> {
    const said = new Map(["reserved", "admitted", "ended"].map((what) => [what, new Set<string>()]));
    const writer = spawn(process.execPath, [program("writer.ts"), file], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(writer, "exit");
    let count = 0;
    for await (const line of createInterface({ input: writer.stdout })) {
      const [what = "", id = ""] = line.split(" ");
      said.get(what)?.add(id);
      count += 1;
      if (count === lines) writer.kill("SIGKILL");
    }
    expect(await exited).toEqual([null, "SIGKILL"]);
    return said;
  }

  // Six hundred commits, one after the other: a busy disk takes its time.
  test("has everything that it had called durable, and nothing by halves", { timeout: 240_000 }, async () => {
    for (let round = 1; round <= 3; round++) {
      const said = await writeUntilKilled(200);
      const store = await openSqlite({ file });
      const rows = new Map((await store.ledger.list({ limit: 100_000 })).map((row) => [row.id, row]));
      for (const id of said.get("reserved") ?? []) expect(rows.get(id)).toBeDefined();
      for (const id of said.get("admitted") ?? []) expect(rows.get(id)?.admittedAt).not.toBeNull();
      for (const id of said.get("ended") ?? []) expect(rows.get(id)?.state).toBe("ended");

      const saved = await store.accounts.properties({ kind: "user", name: "alice" });
      const deliveries = Map.groupBy(await store.deliveries.list({ limit: 100_000 }), ({ sessionId }) => sessionId);
      for (const [id, row] of rows) {
        const told = (deliveries.get(id) ?? []).map(({ event, hook }) => `${event} ${hook}`).sort();
        const connects = row.admittedAt === null ? [] : ["connect inventory", "connect siem"];
        const disconnects =
          connects.length === 0 || row.endedAt === null ? [] : ["disconnect inventory", "disconnect siem"];
        expect(told).toEqual([...connects, ...disconnects]);
        expect(Object.hasOwn(saved, id)).toBe(row.admittedAt !== null);
      }
      const holding = (await store.ledger.unfinished({ nodeNumber: 0 })).map(({ ipv4 }) => ipv4);
      expect(new Set(holding).size).toBe(holding.length);
      for (const { id } of await store.ledger.unfinished({ nodeNumber: 0 })) await store.ledger.end(id, lost);
      await store.close();
      await expectSound();
    }
  });

  test("was opened by several processes at once, and each found it whole", async () => {
    const openers = Array.from({ length: 4 }, () =>
      spawn(process.execPath, [program("opener.ts"), file], { stdio: "inherit" }),
    );
    for (const exited of openers.map((opener) => once(opener, "exit"))) expect(await exited).toEqual([0, null]);
    const store = await openSqlite({ file });
    const users = (await store.accounts.users()).map(({ id }) => id);
    expect(users).toEqual(openers.map(({ pid }) => String(pid)).sort());
    await store.close();
  });

  async function expectSound(): Promise<void> {
    const database = await openSqliteDatabase({ file });
    const check = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(database.query);
    expect(check.rows).toEqual([{ integrity_check: "ok" }]);
    expect((await sql`pragma foreign_key_check`.execute(database.query)).rows).toEqual([]);
    await database.close();
  }
});

const lost = {
  at: "2026-01-01T00:01:00.000Z",
  reason: "node-lost",
  detail: null,
  counts: null,
  release: true,
  subscribers: ["siem", "inventory"],
} as const;
