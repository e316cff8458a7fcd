/*
 * A disconnect in a ledger of 1,000,000 connections, each told to a hook at both ends, against one in a ledger of 1,000:
 * from the VPN daemon's word to the hook's having been told and that being on the disk. The hook is a function, so that
 * what is measured is the ledger.
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionEvent } from "../packages/protocol/src/connection-event.ts";
import type { Telling } from "../packages/server/src/core/hook.ts";
import { createProgramRunner } from "../packages/server/src/runner/programs/program-runner.ts";
import { openSqlite } from "../packages/server/src/store/sqlite.ts";
import { inTurns, median, numberOption, ratio, shown } from "./figures.ts";
import { hookTerms, quiet, simulatedDaemon } from "./simulated-daemon.ts";

const sizes = { small: numberOption("small", 1_000), large: numberOption("large", 1_000_000) };
const rounds = numberOption("rounds", 15);
const disconnects = numberOption("disconnects", 40);
type Sqlite = { exec(sql: string): void; pragma(text: string): unknown; close(): void };
const Database = createRequire(new URL("../packages/server/src/store/", import.meta.url))("better-sqlite3") as new (
  file: string,
) => Sqlite;

const yes: Telling = { answer: "yes", failure: null, error: null, output: "", durationMs: 1 };
const directory = await mkdtemp(join(tmpdir(), "ledger-size-"));
try {
  const small = await daemonWith(sizes.small);
  const large = await daemonWith(sizes.large);
  for (const daemon of [small, large]) await daemon.disconnectMs();
  const took = await inTurns(rounds, { small: small.disconnectMs, large: large.disconnectMs });
  const [few, many] = [median(took.small), median(took.large)];
  console.log(`a disconnect among ${sizes.small}: ${shown(few)} ms; among ${sizes.large}: ${shown(many)} ms`);
  ratio("disconnects among many against among few", many / few, { atMost: 1.2 });
  await small.close();
  await large.close();
} finally {
  await rm(directory, { recursive: true });
}

/** A daemon with so many connections in its ledger that are over. */
async function daemonWith(rows: number) {
  const file = join(directory, `${rows}.db`);
  const told = new Set<string>();
  const waiting = new Map<string, () => void>();
  const hook = {
    terms: hookTerms({ events: ["connect", "disconnect"] }),
    target: "a function",
    tell: async (event: ConnectionEvent) => {
      const what = `${event.event} ${event.userId}`;
      told.add(what);
      waiting.get(what)?.();
      return yes;
    },
  };
  const start = async () => {
    const store = await openSqlite({ file });
    return { store, played: await simulatedDaemon({ store, runner: createProgramRunner({ log: quiet }), hook }) };
  };
  const hears = async (what: string) => {
    if (!told.has(what)) await new Promise<void>((heard) => waiting.set(what, heard));
    waiting.delete(what);
    told.delete(what);
  };
  const come = async ({ played }: Awaited<ReturnType<typeof start>>) => {
    const { tunnel } = await played.connect();
    await hears(`C user-${tunnel.key}`);
    return tunnel;
  };
  const first = await start();
  await leave(first, await come(first));
  await first.played.close();
  multiply(file, rows);
  console.log(`${rows} connections: ${shown((await stat(file)).size / 2 ** 20)} MiB`);
  const daemon = await start();

  async function leave({ store, played }: Awaited<ReturnType<typeof start>>, tunnel: Awaited<ReturnType<typeof come>>) {
    played.gone(tunnel);
    await hears(`D user-${tunnel.key}`);
    await played.settled();
    // Behind what the delivery wrote when it was done.
    while ((await store.deliveries.list({ state: "running", limit: 1 })).length > 0);
  }

  return {
    async disconnectMs(): Promise<number> {
      const tunnels = [];
      for (let i = 0; i < disconnects; i++) tunnels.push(await come(daemon));
      const begun = performance.now();
      for (const tunnel of tunnels) await leave(daemon, tunnel);
      return (performance.now() - begun) / disconnects;
    },
    close: daemon.played.close,
  };
}

/** Copies the one connection and its deliveries, under other ids, over the two years before it. */
function multiply(file: string, rows: number): void {
  const database = new Database(file);
  database.pragma("synchronous = OFF");
  database.pragma("foreign_keys = OFF");
  const numbers = `with recursive n (i) as (select 1 union all select i + 1 from n where i < ${rows - 1})`;
  const earlier = (column: string) =>
    `strftime('%Y-%m-%dT%H:%M:%fZ', ${column}, printf('-%d seconds', n.i % 63072000))`;
  const copy = (table: string, others: Record<string, string>) => {
    const names = columns(table);
    const values = names.map((name) => others[name] ?? `t.${name}`);
    database.exec(
      `insert into ${table} (${names.join(", ")}) ${numbers} select ${values.join(", ")} from ${table} t, n`,
    );
  };
  const columns = (table: string): string[] =>
    (database as unknown as { pragma(text: string): { name: string }[] })
      .pragma(`table_info(${table})`)
      .map(({ name }) => name);
  const id = (column: string) =>
    `substr(t.${column}, 1, 8) || printf('%010x', n.i * 7919 % 1099511627776) || '-' || t.${column}`;
  database.exec("begin");
  copy("deliveries", {
    id: id("id"),
    event_id: id("event_id"),
    session_id: id("session_id"),
    created_at: earlier("t.created_at"),
    finished_at: earlier("t.finished_at"),
    next_at: earlier("t.next_at"),
  });
  copy("connections", {
    id: id("id"),
    user_id: "'user ' || (n.i % 5000)",
    connection_id: "'device ' || (n.i % 7000)",
    tunnel_key: "'old ' || n.i",
    attempt_id: id("attempt_id"),
    connect_event_id: id("connect_event_id"),
    disconnect_event_id: id("disconnect_event_id"),
    reserved_at: earlier("t.reserved_at"),
    admitted_at: earlier("t.admitted_at"),
    ended_at: earlier("t.ended_at"),
  });
  database.exec("commit");
  database.exec("analyze");
  database.close();
}
