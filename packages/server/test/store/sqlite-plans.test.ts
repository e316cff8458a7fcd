import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CompiledQuery } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/store/database.ts";
import { openSqliteDatabase } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import { storeOver } from "../../src/store/store-over.ts";
import { admitted, anAttempt, anEnd, aReservation, at, granted, ranges } from "./suite/rows.ts";

/**
 * Nothing may cost more because the history is long. SQLite is asked how it does each statement (EXPLAIN QUERY PLAN),
 * and each step must be a look-up in an index that is named here. It decides by the schema alone, as nothing runs
 * ANALYZE: what it says of an empty database holds for one with a million rows.
 */
const reads =
  /^(SCAN|SEARCH) (connections|addresses|held|next|deliveries|d|attempts|client_configs|client_script_\w+)\b/;
const primaryKeys = /^sqlite_autoindex_\w+_1$/;

/** What a reservation needs, where an operation begins with one. */
const reserving = ["connections_by_live_device", "connections_by_user_profile"];

type Operation = [name: string, work: (store: Store, connection: string) => Promise<unknown>, indexes: string[]];

const operations: Operation[] = [
  [
    "a reservation",
    async (store) => {
      const wishes = { ipv4: ranges("10.42.0.0/29"), ipv6: ranges("fd42:1::/64") };
      for (let i = 0; i < 7; i++) await store.ledger.reserve(aReservation({ reservedAt: at(i) }, wishes));
      await store.ledger.reserve(aReservation({}, { ipv4: { fixed: "10.42.0.2" } }));
    },
    [...reserving, "addresses_by_place"],
  ],
  [
    "a reservation that replaces a connection",
    async (store) => {
      await admitted(store, { connectionId: "laptop" }, { observers: ["siem"] });
      await store.ledger.reserve(aReservation({ connectionId: "laptop" }, { subscribers: ["siem"] }));
    },
    [...reserving, "addresses_by_connection", "addresses_by_place", "deliveries_2"],
  ],
  [
    "a reservation of somebody who has too many",
    (store) => store.ledger.reserve(aReservation({}, { mostConnections: 0 })),
    reserving,
  ],
  ["telling a veto hook", (store, id) => tell(store, id), []],
  ["an admission", (store) => admitted(store, {}, { observers: ["siem"], wishes: { ipv4: null } }), reserving],
  ["establishing", (store, id) => store.ledger.established(id, at(1)), []],
  ["renaming", (store, id) => store.ledger.rename(id, "8"), []],
  ["byte counts", (store, id) => store.ledger.traffic([{ id, bytesIn: 1, bytesOut: 1 }]), []],
  [
    "an end",
    (store, id) => store.ledger.end(id, anEnd({ subscribers: ["siem"] })),
    ["addresses_by_connection", "deliveries_2"],
  ],
  ["a release", (store, id) => store.ledger.release(id), ["addresses_by_connection"]],
  ["one connection", (store, id) => store.ledger.get(id), []],
  [
    "the connection of a tunnel",
    (store) => store.ledger.byTunnel({ profileId: "office", listener: "udp/1194", key: "7" }),
    ["connections_by_tunnel"],
  ],
  ["unfinished ones", (store) => store.ledger.unfinished({ nodeNumber: 0 }), ["connections_by_unfinished"]],
  [
    "unfinished ones of a listener",
    (store) => store.ledger.unfinished({ nodeNumber: 0, profileId: "office", listener: "udp/1194" }),
    ["connections_by_unfinished"],
  ],
  [
    "those that may not be any more",
    (store) => store.ledger.withdrawn({ nodeNumber: 0 }),
    ["client_configs_by_device", "connections_by_unfinished"],
  ],
  [
    "the connection at an address",
    (store) => store.clientScripts.connectionAt("10.42.0.2"),
    ["connections_unfinished_ipv4"],
  ],
  [
    "a ticket for client scripts",
    (store, id) =>
      store.clientScripts.putTicket({
        digest: "d",
        connectionId: id,
        platform: null,
        createdAt: at(1),
        expiresAt: at(2),
      }),
    ["client_script_tickets_connection"],
  ],
  ["the ticket for client scripts", (store) => store.clientScripts.ticket("d"), []],
  ["who reports on client scripts", (store) => store.clientScripts.reporter("d"), ["client_script_tickets_report"]],
  [
    "how client scripts came out",
    (store, id) => store.clientScripts.reportCounts([id]),
    ["client_script_reports_connection"],
  ],
  ["the newest connections", (store) => store.ledger.list({ limit: 9 }), ["connections_by_reserved"]],
  ["those since a time", (store) => store.ledger.list({ limit: 9, since: at(0) }), ["connections_by_reserved"]],
  ["a user's", (store) => store.ledger.list({ limit: 9, userId: "alice" }), ["connections_by_user"]],
  ["a profile's", (store) => store.ledger.list({ limit: 9, profileId: "office" }), ["connections_by_profile"]],
  [
    "a user's in a profile",
    (store) => store.ledger.list({ limit: 9, userId: "alice", profileId: "office" }),
    ["connections_by_user_profile"],
  ],
  ["open ones", (store) => store.ledger.list({ limit: 9, open: true }), ["connections_by_live"]],
  [
    "a user's open ones",
    (store) => store.ledger.list({ limit: 9, open: true, userId: "a" }),
    ["connections_by_live_user"],
  ],
  [
    "a user's open ones since a time",
    (store) => store.ledger.list({ limit: 9, open: true, userId: "a", since: at(0) }),
    ["connections_by_live_user"],
  ],
  [
    "a profile's open ones",
    (store) => store.ledger.list({ limit: 9, open: true, profileId: "office" }),
    ["connections_by_live_profile"],
  ],
  [
    "a user's open ones in a profile",
    (store) => store.ledger.list({ limit: 9, open: true, userId: "a", profileId: "office" }),
    ["connections_by_live_user_profile"],
  ],
  [
    "taking what is due",
    (store) => takeDue(store, []),
    [...reserving, "deliveries_by_ready", "deliveries_by_running", "deliveries_2"],
  ],
  [
    "taking it while a hook is busy",
    (store) => takeDue(store, ["slow"]),
    [...reserving, "deliveries_by_ready", "deliveries_by_running", "deliveries_2"],
  ],
  ["the figures of connections", (store) => store.figures.connections(0), ["connections_by_live_profile"]],
  [
    "the figures of deliveries",
    (store) => store.figures.deliveries(),
    ["deliveries_by_waiting_hook", "deliveries_by_running_hook", "deliveries_by_failed_hook"],
  ],
  ["when the next is due", (store) => store.deliveries.nextDueAt(), ["deliveries_by_ready"]],
  [
    "a process that died",
    async (store, id) => {
      await tell(store, id);
      await store.deliveries.abandonRunning(at(1));
    },
    ["deliveries_by_running", "deliveries_2"],
  ],
  [
    "whether an end is untold",
    (store, id) => store.deliveries.endUntold({ hook: "fw", sessionId: id, ipv4: "10.42.0.2", ipv6: "fd42:1::2" }),
    ["deliveries_by_untold_ipv4", "deliveries_by_untold_ipv6"],
  ],
  [
    "a device that is back within its grace",
    async (store) => {
      const graceMs = { siem: 60_000 };
      for (const reservedAt of [at(0), at(2)]) {
        const given = aReservation({ connectionId: "phone", reservedAt }, { ipv4: ranges("10.43.0.0/24") });
        const { id } = granted(await store.ledger.reserve({ ...given, graceMs, awaitAddress: true }));
        await store.ledger.admit(id, { at: at(3), save: {}, observers: ["siem"], graceMs });
        await store.ledger.end(id, { ...anEnd({ subscribers: ["siem"] }), graceMs });
      }
    },
    [
      ...reserving,
      "addresses_by_connection",

      "deliveries_2",
      "deliveries_by_held",
    ],
  ],
  [
    "discarding",
    async (store) => {
      await admitted(store, {}, { observers: ["siem"], wishes: { ipv4: null } });
      const [delivery] = await store.deliveries.list({ hook: "siem", limit: 1 });
      await store.deliveries.discard(delivery?.id ?? "", at(1));
    },
    [...reserving, "deliveries_by_hook"],
  ],
  ["the newest deliveries", (store) => store.deliveries.list({ limit: 9 }), ["deliveries_by_created"]],
  ["a hook's", (store) => store.deliveries.list({ limit: 9, hook: "siem" }), ["deliveries_by_hook"]],
  ["a connection's", (store, id) => store.deliveries.list({ limit: 9, sessionId: id }), ["deliveries_2"]],
  ["waiting ones", (store) => store.deliveries.list({ limit: 9, state: "waiting" }), ["deliveries_by_waiting"]],
  ["running ones", (store) => store.deliveries.list({ limit: 9, state: "running" }), ["deliveries_by_running"]],
  ["failed ones", (store) => store.deliveries.list({ limit: 9, state: "failed" }), ["deliveries_by_failed"]],
  [
    "a hook's waiting ones",
    (store) => store.deliveries.list({ limit: 9, hook: "siem", event: "disconnect", state: "waiting" }),
    ["deliveries_by_waiting_hook"],
  ],
  [
    "a hook's running ones",
    (store) => store.deliveries.list({ limit: 9, hook: "siem", event: "disconnect", state: "running" }),
    ["deliveries_by_running_hook"],
  ],
  [
    "a hook's failed ones",
    (store) => store.deliveries.list({ limit: 9, hook: "siem", state: "failed" }),
    ["deliveries_by_failed_hook"],
  ],
  ["recording an attempt", (store) => recordOne(store), []],
  ["the newest attempts", (store) => store.attempts.list({ limit: 9 }), ["attempts_by_at"]],
  ["a user's attempts", (store) => store.attempts.list({ limit: 9, userId: "alice" }), ["attempts_by_user"]],
  [
    "a user's attempts since a time",
    (store) => store.attempts.list({ limit: 9, userId: "alice", since: at(0) }),
    ["attempts_by_user"],
  ],
  ["pruning attempts", (store) => store.attempts.prune(at(0)), ["attempts_by_at"]],
  ["a certificate", (store) => store.clientConfigs.bySerial("1a"), ["client_configs_2"]],
  ["a user's client configs", (store) => store.clientConfigs.list({ userId: "alice" }), ["client_configs_by_user"]],
];

describe("SQLite uses an index, and this one, for", () => {
  let directory: string;
  let database: Database;
  let store: Store;
  let connection: string;
  let seen: CompiledQuery[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "plans-"));
    const file = join(directory, "sallyport.db");
    database = await openSqliteDatabase({ file, log: ({ query }) => void seen.push(query) });
    store = storeOver(database);
  });

  afterAll(async () => {
    await store.close();
    await rm(directory, { recursive: true });
  });

  async function planOf({ sql, parameters }: CompiledQuery): Promise<string[]> {
    const explain = CompiledQuery.raw(`explain query plan ${sql}`, [...parameters]);
    const { rows } = await database.query.executeQuery<{ detail: string }>(explain);
    return rows.map(({ detail }) => detail);
  }

  test.each(operations)("%s", async (name, work, indexes) => {
    connection = granted(await store.ledger.reserve(aReservation({}, { ipv4: null }))).id;
    seen = [];
    await work(store, connection);
    const queries = [...seen];
    expect(queries.length).toBeGreaterThan(0);
    const used = new Set<string>();
    for (const query of queries) {
      for (const step of await planOf(query)) {
        // A connection's deliveries are a handful: sorting those is nothing.
        // What is open is counted into as many entries as there are groups.
        if (!["a connection's", "the figures of connections"].includes(name))
          expect(step, query.sql).not.toContain("TEMP B-TREE");
        if (!reads.test(step)) continue;
        const index = / INDEX (\S+)/.exec(step)?.[1] ?? `none at all: ${step}`;
        if (!primaryKeys.test(index)) used.add(index.replace("sqlite_autoindex_", ""));
      }
    }
    expect([...used].sort()).toEqual([...indexes].sort());
  });
});

function tell(store: Store, sessionId: string): Promise<unknown> {
  return store.deliveries.tell({ sessionId, hook: "fw", at: at(0), leaseUntil: at(5) });
}

/** With something waiting, a veto nobody answers for any more, and all of it finished and retried. */
async function takeDue(store: Store, busy: string[]): Promise<void> {
  await admitted(store, {}, { observers: ["siem"], wishes: { ipv4: null } });
  const vetoed = granted(await store.ledger.reserve(aReservation({}, { ipv4: null })));
  await tell(store, vetoed.id);
  const due = await store.deliveries.takeDue({ now: at(20), leaseUntil: at(30), limit: 10, busy });
  for (const each of due) {
    await store.deliveries.finish(each.id, { at: at(21), state: "failed", durationMs: 1, output: "", error: null });
    await store.deliveries.retry(each.id, at(22));
  }
}

async function recordOne(store: Store): Promise<void> {
  store.attempts.record(anAttempt());
  await store.attempts.flush();
}
