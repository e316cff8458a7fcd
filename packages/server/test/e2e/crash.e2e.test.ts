import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { callDaemon } from "../../src/cli/daemon.ts";
import { type ConnectionRow, heldAddresses } from "./lab/ledger.ts";
import { type Client, inParallel, type Lab, openLab, until } from "./lab.ts";

const password = "correct horse battery staple";
const sequence = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}${i + 1}`);
const inside = sequence("inside", 30);
const slow = sequence("slow", 8);
const vetoed = sequence("vetoed", 2);
const everybody = [...inside, ...slow, ...vetoed];

// The slow ones and the vetoed ones are still being asked when something dies: until there is a file.
const hookBody = `
waited=0
case "$VPN_EVENT$VPN_USER_ID" in
  Cslow*|Cvetoed*) while [ ! -e "$(dirname "$0")/released" ] && [ $waited -lt 100 ]; do sleep 0.5; waited=$((waited + 1)); done ;;
esac
case "$VPN_EVENT$VPN_USER_ID" in Cvetoed*) exit 1 ;; esac`;
const release = (lab: Lab) => writeFile(join(lab.directory, "hook", "released"), "");

// A client otherwise waits for a minute before it believes that the server is gone; one that is idle hears of it every
// ten seconds.
const impatient = ["--pull-filter", "ignore", "ping", "--ping", "5", "--ping-restart", "25"];

type Crowd = { lab: Lab; clients: Map<string, Client> };

/** The daemon, thirty clients connected, and ten that are being put to the hook. */
async function gatherCrowd(lab: Lab, extra: readonly string[] = []): Promise<Crowd> {
  const gate = { name: "gate", script: lab.hook.path, veto: true, deadlineMs: 45_000 };
  await lab.configure({ connectScriptPath: undefined, scripts: { deadlineMs: 5_000 }, hooks: [gate] });
  await lab.daemon.start();
  const configs = new Map<string, string>();
  for (const name of everybody) configs.set(name, await newcomer(lab, name));
  const clients = new Map<string, Client>();
  const start = (names: readonly string[]) =>
    inParallel(names, 5, async (user) => {
      const client = await lab.client({ ovpnText: configs.get(user) ?? "", user, password, extra });
      clients.set(user, client);
      return client;
    });
  for (const client of await start(inside)) await client.connected(60_000);
  await start([...slow, ...vetoed]);
  let states: string[] = [];
  const counted = async (state: string) => {
    states = (await open(lab)).map((row) => `${row.userId}: ${row.state}`);
    return states.filter((one) => one.endsWith(state)).length;
  };
  const otherwise = () => states.join("\n");
  await until("thirty to be in", async () => (await counted("open")) === 30, { otherwise });
  await until("ten to be put to the hook", async () => (await counted("reserved")) === 10, { otherwise });
  return { lab, clients };
}

/** Asks the daemon itself: a program started for each of hundreds of questions would keep the machine from the rest. */
async function ask<Answer>({ dataDirectory }: Lab, command: string, input: object): Promise<Answer> {
  return (await callDaemon({ dataDirectory, command, input, deadlineMs: 60_000 })) as Answer;
}

/** A user with a password, and the device's file. */
async function newcomer(lab: Lab, userId: string): Promise<string> {
  await ask(lab, "user-add", { name: userId, password });
  return (await ask<{ file: string }>(lab, "client-config-issue", { userId, profileId: "office" })).file;
}

async function open(lab: Lab, state?: string): Promise<ConnectionRow[]> {
  const rows = await ask<ConnectionRow[]>(lab, "connection-list", { limit: 1000 });
  return rows.filter((row) => state === undefined || row.state === state);
}

const of = (clients: Map<string, Client>, names: readonly string[]) =>
  names.map((name) => clients.get(name)).filter((client) => client !== undefined);

/** Every client pings the server through its tunnel; those that could not, with what ping and openvpn said. */
async function unreachable(clients: Map<string, Client>, names: readonly string[]): Promise<string[]> {
  const answers = await inParallel(names, 10, async (name) => {
    const client = clients.get(name);
    const answered = await client?.ping("10.42.0.1");
    return answered ? "" : `${name}: ${client?.lastPing()}\n${client?.log().split("\n").slice(-20).join("\n")}`;
  });
  return answers.filter((answer) => answer !== "");
}

/** What must hold when everybody has gone, whatever happened before. */
async function expectCleanEnd({ lab, clients }: Crowd): Promise<void> {
  await Promise.all([...clients.values()].map((client) => client.stop()));
  await until("every connection to end", async () => (await open(lab)).length === 0, { deadlineMs: 60_000 });
  const rows = await lab.json<ConnectionRow[]>(["connection", "log", "--limit", "1000"]);
  // Each hook that was told of a connection is told of its end, sooner or later.
  const calls = await until("every disconnect to be delivered", async () => {
    const { connects, disconnects } = await toldSessions(lab);
    return [...connects.keys()].every((session) => disconnects.has(session)) && { connects, disconnects };
  });

  expect(rows.length).toBeGreaterThanOrEqual(everybody.length);
  expect(rows.filter((row) => row.endReason === null)).toEqual([]);
  // One disconnect event id for each connection, however often it was told.
  for (const [session, events] of calls.disconnects) {
    expect([...events]).toEqual([rows.find((row) => row.id === session)?.disconnectEventId]);
  }
  for (const [session, events] of calls.connects) {
    expect([...events]).toEqual([rows.find((row) => row.id === session)?.connectEventId]);
  }
  const [failed, waiting] = await Promise.all([
    lab.json<unknown[]>(["hook", "deliveries", "--failed"]),
    heldAddresses(lab.dataDirectory),
  ]);
  expect(failed.filter((delivery) => (delivery as { event: string }).event === "disconnect")).toEqual([]);
  expect(waiting).toEqual([]);
  for (const name of vetoed) {
    expect(clients.get(name)?.timesConnected()).toBe(0);
    const hers = rows.filter((row) => row.userId === name);
    expect(hers.length).toBeGreaterThan(0);
    expect(hers.filter((row) => row.admittedAt !== null || row.bytesIn !== 0)).toEqual([]);
  }
}

/** Event ids that the hook was told, by session. */
async function toldSessions(lab: Lab) {
  const connects = new Map<string, Set<string>>();
  const disconnects = new Map<string, Set<string>>();
  for (const { environment } of await lab.hook.calls()) {
    const sessions = environment.VPN_EVENT === "C" ? connects : disconnects;
    const session = environment.VPN_SESSION_ID ?? "";
    sessions.set(session, (sessions.get(session) ?? new Set()).add(environment.VPN_EVENT_ID ?? ""));
  }
  return { connects, disconnects };
}

test("the daemon is killed with 30 clients connected and 10 connecting, and started again", async () => {
  await using lab = await openLab({ hookBody });
  const crowd = await gatherCrowd(lab);
  const { clients } = crowd;
  const before = await open(lab, "open");

  await lab.daemon.kill();
  expect(await unreachable(clients, inside)).toEqual([]);
  // Some leave while nobody looks.
  const [left, stayed] = [inside.slice(0, 3), inside.slice(3)];
  await Promise.all(of(clients, left).map((client) => client.stop()));
  await release(lab);
  await lab.daemon.start();

  // Tunnels stay up: nobody had to connect again, and the ledger has the same rows.
  expect(await unreachable(clients, stayed)).toEqual([]);
  expect(of(clients, stayed).map((client) => client.timesConnected())).toEqual(stayed.map(() => 1));
  const idOf = (rows: ConnectionRow[], user: string) => rows.find((row) => row.userId === user)?.id;
  const after = await open(lab);
  expect(stayed.map((user) => idOf(after, user))).toEqual(stayed.map((user) => idOf(before, user)));
  // Whoever was connecting comes back by itself, and is asked again; whoever left is known to have left.
  for (const client of of(clients, slow)) await client.connected(60_000);
  expect(await unreachable(clients, slow)).toEqual([]);
  for (const user of left) {
    await until(`the row of ${user} to end`, async () => idOf(await open(lab), user) === undefined);
  }
  await lab.hook.called(({ environment }) => environment.VPN_USER_ID === "vetoed1" && environment.VPN_EVENT === "C", {
    count: 2,
    deadlineMs: 60_000,
  });
  await expectCleanEnd(crowd);
});

test("openvpn is killed with 30 clients connected and 10 connecting, and comes back by itself", async () => {
  await using lab = await openLab({ hookBody });
  const crowd = await gatherCrowd(lab, impatient);
  const { clients } = crowd;
  const before = await open(lab, "open");

  const pids = await lab.daemon.openvpnPids();
  expect(pids.length).toBe(1);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await release(lab);

  // Every client connects again by itself: the thirty for the second time, the slow ones at last.
  const comeBack: [Client, number][] = of(clients, inside).map((client) => [client, 2]);
  comeBack.push(...of(clients, slow).map((client): [Client, number] => [client, 1]));
  for (const [client, times] of comeBack) {
    await until("a client to come back", () => client.timesConnected() >= times, {
      deadlineMs: 120_000,
      otherwise: client.log,
    });
  }
  expect(await unreachable(clients, [...inside, ...slow])).toEqual([]);
  expect(await lab.daemon.openvpnPids()).not.toEqual(pids);
  const log = await lab.json<ConnectionRow[]>(["connection", "log", "--limit", "1000"]);
  const ends = before.map(({ id }) => log.find((row) => row.id === id)?.endReason);
  expect(ends).toEqual(before.map(() => "node-lost"));
  await expectCleanEnd(crowd);
});

test("the daemon is killed again and again while clients come and go", async () => {
  await using lab = await openLab({ hookBody: '[ "$VPN_EVENT" = D ] || sleep 0.3' });
  const rounds = 6;
  // Whoever leaves is connected: openvpn notices a client that went away without a word only after its keepalive time.
  const [leaving, joining] = [sequence("leaving", rounds), sequence("joining", 2 * rounds)];
  await lab.daemon.start();
  const configs = new Map<string, string>();
  for (const name of [...leaving, ...joining]) configs.set(name, await newcomer(lab, name));
  const clients = new Map<string, Client>();
  const start = (names: readonly string[]) =>
    inParallel(names, 3, async (user) => {
      clients.set(user, await lab.client({ ovpnText: configs.get(user) ?? "", user, password }));
    });
  await start(leaving);
  for (const client of of(clients, leaving)) await client.connected(60_000);
  for (let round = 0; round < rounds; round++) {
    // Two join and one leaves in each round; the kill falls somewhere into that.
    const calledBefore = (await lab.hook.calls()).length;
    const moving = [start(joining.slice(round * 2, round * 2 + 2)), clients.get(leaving[round] ?? "")?.stop()];
    await until("a hook to have begun", async () => (await lab.hook.calls()).length > calledBefore);
    await lab.daemon.kill();
    await Promise.all(moving);
    await lab.daemon.start();
  }
  // Whoever was being put to the hook is rejected after the restart and comes again by itself, so this takes a while.
  const stay = [...clients.keys()].filter((user) => clients.get(user)?.running()).sort();
  let present: string[] = [];
  const settled = async () => {
    present = (await open(lab)).map(({ userId, state }) => (state === "open" ? userId : `${userId} (${state})`)).sort();
    return isDeepStrictEqual(present, stay) && (await unreachable(clients, stay)).length === 0;
  };
  await until("everybody who stayed to be in once, and nobody else", settled, {
    deadlineMs: 120_000,
    everyMs: 250,
    otherwise: () => `stayed: ${stay}\nin: ${present}`,
  });

  await Promise.all([...clients.values()].map((client) => client.stop()));
  await until("every connection to end", async () => (await open(lab)).length === 0, { deadlineMs: 60_000 });
  const told = await until("every disconnect to be delivered", async () => {
    const sessions = await toldSessions(lab);
    return [...sessions.connects.keys()].every((session) => sessions.disconnects.has(session)) && sessions;
  });
  expect([...told.disconnects.values()].filter((events) => events.size !== 1)).toEqual([]);
  expect(await heldAddresses(lab.dataDirectory)).toEqual([]);
});
