import { expect, test } from "vitest";
import type { Line } from "./told.ts";
import { broken, type Ledger, uninvited, unsettled } from "./verdict.ts";

type Row = Ledger["connections"][number];

const row = (change: Partial<Row> = {}): Row => ({
  id: "one",
  user_id: "alice",
  protocol: "openvpn",
  profile_id: "office",
  connection_id: "laptop",
  state: "ended",
  ipv4: "10.0.0.2",
  reserved_at: "2026-01-01T00:00:00.000Z",
  admitted_at: "2026-01-01T00:00:01.000Z",
  ended_at: "2026-01-01T00:00:09.000Z",
  finished: 1,
  connect_event_id: "c",
  disconnect_event_id: "d",
  ...change,
});
const line = (hook: Line["hook"], event: Line["event"], change: Partial<Line> = {}): Line => ({
  hook,
  event,
  eventId: event === "D" ? "d" : "c",
  sessionId: "one",
  attempt: 1,
  ipv4: "10.0.0.2",
  ...change,
});
const hooks = ["gate", "told", "journal", "calm"] as const;
const wholeStory = [...hooks.map((hook) => line(hook, "C")), ...hooks.map((hook) => line(hook, "D"))];
const ledger = (change: Partial<Ledger> = {}): Ledger => ({
  connections: [row()],
  addresses: [],
  deliveries: [],
  configs: [],
  ...change,
});

test("a connection told of once to each, and again where an answer was lost, breaks nothing", () => {
  expect(broken(ledger(), wholeStory)).toEqual([]);
  expect(broken(ledger(), [...wholeStory, line("told", "D", { attempt: 2 })])).toEqual([]);
});

test.each<[string, Ledger, Line[], RegExp]>([
  [
    "a hook that was not told of a connection",
    ledger(),
    wholeStory.filter((l) => l.hook !== "told"),
    /told was not told/,
  ],
  ["an end that was not told", ledger(), wholeStory.slice(0, 4), /not that it ended/],
  ["an end that a calm hook was not told", ledger(), wholeStory.slice(0, 7), /told 0 ends/],
  ["an end told under another id", ledger(), [...wholeStory, line("told", "D", { eventId: "x" })], /as d, x, not d/],
  ["a connect told under another id", ledger(), [line("gate", "C", { eventId: "x" }), ...wholeStory], /as x, c, not c/],
  ["a connect told after its end", ledger(), [...wholeStory, line("told", "C")], /after it was told/],
  ["a connection that was let in after a veto", ledger(), [line("gate", "V"), ...wholeStory], /after a veto/],
  ["one that nobody knows", ledger(), [...wholeStory, line("told", "C", { sessionId: "two" })], /does not know/],
  [
    "an observer told of a refused one",
    ledger({ connections: [row({ admitted_at: null })] }),
    wholeStory,
    /never admitted/,
  ],
  [
    "another address than the ledger's",
    ledger({ connections: [row({ ipv4: "10.0.0.3" })] }),
    wholeStory,
    /is 10\.0\.0\.3/,
  ],
  [
    "an address held twice",
    ledger({ connections: [row(), row({ id: "two", reserved_at: "2026-01-01T00:00:05.000Z" })] }),
    wholeStory,
    /10\.0\.0\.2 was given to two while one had it/,
  ],
  [
    "a delivery that was given up",
    ledger({
      deliveries: [
        { id: "1", session_id: "one", hook: "told", event: "disconnect", state: "failed", output: null, error: "?" },
      ],
    }),
    wholeStory,
    /was given up/,
  ],
])("%s is found", (_what, given, lines, expected) => {
  expect(broken(given, lines).join("\n")).toMatch(expected);
});

test("a calm hook hears of one connection where a device was back in time", () => {
  const again = { id: "two", reserved_at: "2026-01-01T00:00:10.000Z", ended_at: "2026-01-01T00:00:20.000Z" };
  const second = row({ ...again, connect_event_id: "c2", disconnect_event_id: "d2" });
  const others = hooks.filter((hook) => hook !== "calm");
  const all = [
    ...others.flatMap((hook) => [line(hook, "C"), line(hook, "D")]),
    ...others.map((hook) => line(hook, "C", { sessionId: "two", eventId: "c2" })),
    ...others.map((hook) => line(hook, "D", { sessionId: "two", eventId: "d2" })),
    line("calm", "C"),
    line("calm", "D", { eventId: "d2" }),
  ];
  const quiet = { id: "1", session_id: "two", hook: "calm", event: "connect", state: "done", error: null };
  const deliveries = [{ ...quiet, output: "not told, within the grace period: goes on from one" }];
  expect(broken(ledger({ connections: [row(), second], deliveries }), all)).toEqual([]);
  expect(broken(ledger({ connections: [row(), second] }), all).join()).toContain("calm was not told of two");
  const elsewhere = { ...second, ipv4: "10.0.0.9" };
  const moved = all.map((one) => (one.sessionId === "two" ? { ...one, ipv4: "10.0.0.9" } : one));
  expect(broken(ledger({ connections: [row(), elsewhere], deliveries }), moved).join()).toContain("another device's");
});

test("who was in more often than let in is found", () => {
  expect(uninvited(ledger(), new Map([["alice", 1]]))).toEqual([]);
  expect(uninvited(ledger(), new Map([["alice", 2]]))).toHaveLength(1);
  expect(uninvited(ledger({ connections: [row({ admitted_at: null })] }), new Map([["alice", 1]]))).toHaveLength(1);
});

test("a ledger has settled when nobody is in, no address is held and nothing waits to be told", () => {
  expect(unsettled(ledger())).toEqual([]);
  expect(unsettled(ledger({ connections: [row({ ended_at: null, state: "open", finished: 0 })] }))).toHaveLength(1);
  expect(unsettled(ledger({ connections: [row({ finished: 0 })] }))).toHaveLength(1);
  expect(unsettled(ledger({ addresses: [{ address: "10.0.0.2", connection_id: "one" }] }))).toHaveLength(1);
  const waiting = {
    id: "1",
    session_id: "one",
    hook: "told",
    event: "disconnect",
    state: "waiting",
    output: null,
    error: null,
  };
  expect(unsettled(ledger({ deliveries: [waiting] }))).toHaveLength(1);
});
