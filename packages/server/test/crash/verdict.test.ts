import { expect, test } from "vitest";
import type { Line } from "./told.ts";
import { broken, type Ledger, unsettled } from "./verdict.ts";

type Row = Ledger["connections"][number];

const row = (change: Partial<Row> = {}): Row => ({
  id: "one",
  user_id: "alice",
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
const wholeStory = [line("gate", "C"), line("told", "C"), line("gate", "D"), line("told", "D")];
const ledger = (change: Partial<Ledger> = {}): Ledger => ({
  connections: [row()],
  addresses: [],
  deliveries: [],
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
  ["an end that was not told", ledger(), wholeStory.slice(0, 3), /not that it ended/],
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
      deliveries: [{ id: "1", session_id: "one", hook: "told", event: "disconnect", state: "failed", error: "?" }],
    }),
    wholeStory,
    /was given up/,
  ],
])("%s is found", (_what, given, lines, expected) => {
  expect(broken(given, lines).join("\n")).toMatch(expected);
});

test("a ledger has settled when nobody is in, no address is held and nothing waits to be told", () => {
  expect(unsettled(ledger())).toEqual([]);
  expect(unsettled(ledger({ connections: [row({ ended_at: null, state: "open", finished: 0 })] }))).toHaveLength(1);
  expect(unsettled(ledger({ connections: [row({ finished: 0 })] }))).toHaveLength(1);
  expect(unsettled(ledger({ addresses: [{ address: "10.0.0.2", connection_id: "one" }] }))).toHaveLength(1);
  const waiting = { id: "1", session_id: "one", hook: "told", event: "disconnect", state: "waiting", error: null };
  expect(unsettled(ledger({ deliveries: [waiting] }))).toHaveLength(1);
});
