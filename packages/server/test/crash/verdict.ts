import Database from "better-sqlite3";
import type { Line } from "./told.ts";

type Row = {
  id: string;
  user_id: string;
  protocol: string;
  profile_id: string;
  connection_id: string;
  state: string;
  ipv4: string | null;
  reserved_at: string;
  admitted_at: string | null;
  ended_at: string | null;
  finished: number;
  connect_event_id: string;
  disconnect_event_id: string;
};

type DeliveryRow = {
  id: string;
  session_id: string;
  hook: string;
  event: string;
  state: string;
  output: string | null;
  error: string | null;
};

/** What the database holds, read from the file itself, as whoever audits it would. */
export type Ledger = {
  connections: Row[];
  addresses: { address: string; connection_id: string }[];
  deliveries: DeliveryRow[];
  /** Client configs that work: not revoked, and not put out by an administrator. */
  configs: { profile_id: string; connection_id: string }[];
};

export function readLedger(file: string): Ledger {
  const database = new Database(file, { readonly: true, timeout: 10_000 });
  try {
    const sound = database.pragma("quick_check", { simple: true });
    if (sound !== "ok") throw new Error(`the database is damaged: ${sound}`);
    const all = <Result>(query: string) => database.prepare(query).all() as Result[];
    return {
      connections: all("select * from connections order by reserved_at, id"),
      addresses: all("select address, connection_id from addresses"),
      deliveries: all("select id, session_id, hook, event, state, output, error from deliveries"),
      configs: all(
        `select profile_id, connection_id from client_configs
          where revoked_at is null and issued_at is not null and away_at is null`,
      ),
    };
  } finally {
    database.close();
  }
}

/** With what is in the write-ahead log; the copy must not be there yet. */
export function copyDatabase(file: string, copy: string): void {
  const database = new Database(file, { readonly: true, timeout: 10_000 });
  try {
    database.prepare("vacuum into ?").run(copy);
  } finally {
    database.close();
  }
}

/** Public keys, in order, of the WireGuard devices that are in; where handshakes let them in, of all that may shake hands. */
export function wireGuardKeys({ connections, configs }: Ledger, profileId: string, trigger: "config" | "handshake") {
  const inNow = connections.filter((row) => row.profile_id === profileId && row.ended_at === null);
  const those = trigger === "config" ? inNow : configs.filter(({ profile_id }) => profile_id === profileId);
  return those.map(({ connection_id }) => connection_id).sort();
}

/** Something that is not over yet, and the address of the connection that it belongs to. */
export type Unsettled = { what: string; ipv4: string | null };

/** What is not over yet; empty when all has settled. */
export function unsettled(ledger: Ledger): string[] {
  return unsettledRows(ledger).map(({ what }) => what);
}

export function unsettledRows({ connections, addresses, deliveries }: Ledger): Unsettled[] {
  const addressOf = (id: string) => connections.find((row) => row.id === id)?.ipv4 ?? null;
  const open = connections.filter(({ ended_at, finished }) => ended_at === null || finished === 0);
  const untold = deliveries.filter(({ state }) => state === "waiting" || state === "running");
  return [
    ...open.map(({ id, user_id, state, finished, ipv4 }) => {
      return { what: `connection ${id} of ${user_id} is ${state}, finished ${finished}`, ipv4 };
    }),
    ...addresses.map(({ address, connection_id }) => {
      return { what: `address ${address} is held by ${connection_id}`, ipv4: addressOf(connection_id) };
    }),
    ...untold.map(({ event, session_id, hook, state, error }) => {
      return { what: `the ${event} of ${session_id} for ${hook} is ${state} (${error})`, ipv4: addressOf(session_id) };
    }),
  ];
}

/** People who were in more often than the ledger let them in. Empty: nobody came in without it. */
export function uninvited({ connections }: Ledger, timesIn: ReadonlyMap<string, number>): string[] {
  return [...timesIn].flatMap(([user, times]) => {
    const admitted = connections.filter(({ user_id, admitted_at }) => user_id === user && admitted_at !== null).length;
    return times > admitted ? [`${user} was in ${times} times, and let in ${admitted} times`] : [];
  });
}

/** Holds a ledger in which everything has ended against what the hooks wrote down. Empty: every promise was kept. */
export function broken(ledger: Ledger, lines: readonly Line[]): string[] {
  const rows = new Map(ledger.connections.map((row) => [row.id, row]));
  const faults: string[] = [];
  const bySession = new Map<string, Line[]>();
  for (const line of lines) {
    const row = rows.get(line.sessionId);
    if (row === undefined) faults.push(`${line.hook} was told of ${line.sessionId}, which the ledger does not know`);
    else if (line.event !== "V" && line.ipv4 !== row.ipv4)
      faults.push(`${line.hook} was told of ${row.id} with the address ${line.ipv4}, which is ${row.ipv4}`);
    bySession.set(line.sessionId, [...(bySession.get(line.sessionId) ?? []), line]);
  }
  for (const row of ledger.connections) faults.push(...brokenFor(row, bySession.get(row.id) ?? []));
  faults.push(...heldTwice(ledger.connections), ...brokenGrace(ledger, lines));
  for (const { state, event, hook, session_id, error } of ledger.deliveries) {
    // A veto's question is not asked twice; everything else is told until it was heard.
    if (state === "failed" && !(hook === "gate" && event === "connect"))
      faults.push(`the ${event} of ${session_id} for ${hook} was given up: ${error}`);
  }
  return faults;
}

function brokenFor(row: Row, lines: readonly Line[]): string[] {
  const faults: string[] = [];
  const admitted = row.admitted_at !== null;
  if (admitted && lines.some(({ event }) => event === "V")) faults.push(`${row.id} was admitted after a veto`);
  for (const hook of ["gate", "told", "journal"] as const) {
    const own = lines.filter((line) => line.hook === hook);
    const idsOf = (event: Line["event"]) => [...new Set(own.filter((l) => l.event === event).map((l) => l.eventId))];
    const [connects, ends] = [idsOf("C"), idsOf("D")];
    if (admitted && connects.length === 0) faults.push(`${row.id} was admitted, and ${hook} was not told`);
    if (connects.some((id) => id !== row.connect_event_id))
      faults.push(
        `${hook} was told of the connect of ${row.id} as ${connects.join(", ")}, not ${row.connect_event_id}`,
      );
    if (ends.some((id) => id !== row.disconnect_event_id))
      faults.push(`${hook} was told of the end of ${row.id} as ${ends.join(", ")}, not ${row.disconnect_event_id}`);
    if (connects.length > 0 && ends.length === 0)
      faults.push(`${hook} was told that ${row.id} began, not that it ended`);
    if (!admitted && hook !== "gate" && own.length > 0)
      faults.push(`${hook} heard of ${row.id}, which was never admitted`);
    const firstEnd = own.findIndex(({ event }) => event === "D");
    if (firstEnd >= 0 && own.slice(firstEnd).some(({ event }) => event === "C"))
      faults.push(`${hook} was told that ${row.id} began after it was told that it had ended`);
  }
  return faults;
}

/**
 * A hook with a grace period takes for one connection what the ledger has as several of one device, one after the other
 * and with one address: it is told of the first one's connect and of the last one's end, as the first.
 */
function brokenGrace({ connections, deliveries }: Ledger, lines: readonly Line[]): string[] {
  const faults: string[] = [];
  const rows = new Map(connections.map((row) => [row.id, row]));
  const byEnd = new Map(connections.map((row) => [row.disconnect_event_id, row]));
  const calm = lines.filter(({ hook }) => hook === "calm");
  const heard = new Set(calm.filter(({ event }) => event === "C").map(({ sessionId }) => sessionId));
  const passedOver = deliveries.filter(({ hook, output }) => hook === "calm" && output?.startsWith("not told"));
  const unsaid = new Set(passedOver.filter(({ event }) => event === "connect").map((one) => one.session_id));
  for (const { id, admitted_at } of connections) {
    if (admitted_at === null || heard.has(id) !== unsaid.has(id)) continue;
    faults.push(
      `calm was ${heard.has(id) ? "told of" : "not told of"} ${id}, ${unsaid.has(id) ? "though" : "not"} passed over`,
    );
  }
  for (const id of heard) {
    const own = calm.filter(({ sessionId }) => sessionId === id);
    const ends = [...new Set(own.filter(({ event }) => event === "D").map(({ eventId }) => eventId))];
    if (ends.length !== 1) faults.push(`calm was told ${ends.length} ends of ${id}: ${ends.join(", ")}`);
    const [first, last] = [rows.get(id), byEnd.get(ends[0] ?? "")];
    if (last === undefined || first?.connection_id !== last.connection_id || first.ipv4 !== last.ipv4)
      faults.push(`calm was told that ${id} ended as ${ends.join(", ")}, which is another device's or address's end`);
    if (own.findIndex(({ event }) => event === "D") < own.findLastIndex(({ event }) => event === "C"))
      faults.push(`calm was told that ${id} began after it was told that it had ended`);
  }
  return faults;
}

/** Two connections with one address at the same time. */
function heldTwice(connections: readonly Row[]): string[] {
  const faults: string[] = [];
  const last = new Map<string, Row>();
  for (const row of connections) {
    const before = row.ipv4 === null ? undefined : last.get(row.ipv4);
    if (before !== undefined && (before.ended_at === null || before.ended_at > row.reserved_at))
      faults.push(`${row.ipv4} was given to ${row.id} while ${before.id} had it`);
    if (row.ipv4 !== null) last.set(row.ipv4, row);
  }
  return faults;
}
