import { expect, test } from "vitest";
import { createFigures, type Figures } from "../../src/compose/figures/figures.ts";
import { otherGroups, type Watched } from "../../src/compose/figures/gauges.ts";
import type { AttemptRecord } from "../../src/core/attempt.ts";
import type { BoundHook } from "../../src/hooks/tell.ts";
import type { ScriptHost } from "../../src/runner/runner.ts";
import type { Store } from "../../src/store/store.ts";

type Open = Awaited<ReturnType<Store["figures"]["connections"]>>;

const watched = (change: Partial<Watched> = {}): Watched => ({
  store: { connections: async () => [], deliveries: async () => [] },
  nodeNumber: 0,
  listeners: () => [],
  spawners: () => 0,
  ready: async () => true,
  ...change,
});
const open = (group: string | null, count: number): Open[number] => {
  return { profileId: "office", protocol: "openvpn", state: "open", group, count };
};
const samples = async (figures: Figures, name: string, from: Watched = watched()) =>
  (await figures.text(from)).split("\n").filter((line) => new RegExp(`^${name}[{ ]`).test(line));

test("connections are told by profile, group and state", async () => {
  const store = { connections: async () => [open("eng", 3), open(null, 1)], deliveries: async () => [] };
  expect(await samples(createFigures(), "sallyport_connections", watched({ store }))).toEqual([
    'sallyport_connections{profile="office",protocol="openvpn",group="eng",state="open"} 3',
    'sallyport_connections{profile="office",protocol="openvpn",group="",state="open"} 1',
  ]);
});

test("of a thousand groups the hundred largest have a label of their own", async () => {
  const all = Array.from({ length: 1_000 }, (_, size) => open(`group ${size}`, size + 1));
  const store = { connections: async () => all, deliveries: async () => [] };
  const lines = await samples(createFigures(), "sallyport_connections", watched({ store }));
  expect(lines).toHaveLength(101);
  expect(lines.join("\n")).toContain('group="group 999",state="open"} 1000');
  // 1 + 2 + … + 900
  expect(lines.join("\n")).toContain(`group="${otherGroups}",state="open"} 405450`);
});

test("the age of what waits for a hook, and how much of it there is", async () => {
  const oldestCreatedAt = new Date(Date.now() - 90_000).toISOString();
  const deliveries = async () => [{ hook: "siem", state: "waiting" as const, count: 7, oldestCreatedAt }];
  const from = watched({ store: { connections: async () => [], deliveries } });
  const figures = createFigures();
  expect(await samples(figures, "sallyport_deliveries", from)).toEqual([
    'sallyport_deliveries{hook="siem",state="waiting"} 7',
  ]);
  const [age = ""] = await samples(figures, "sallyport_delivery_oldest_seconds", from);
  expect(Number(age.split(" ").at(-1))).toBeGreaterThanOrEqual(90);
  // What is done is not told any more.
  expect(await samples(figures, "sallyport_deliveries")).toEqual([]);
});

test("while the database does not answer, what it counts is left out and the rest is told", async () => {
  const figures = createFigures();
  const broken = async () => Promise.reject(new Error("locked"));
  await figures.text(watched({ store: { connections: async () => [open("eng", 3)], deliveries: async () => [] } }));
  const text = await figures.text(watched({ store: { connections: broken, deliveries: broken }, ready: broken }));
  expect(text).toContain("sallyport_store_up 0");
  expect(text).toContain("sallyport_ready 0");
  expect(text).not.toMatch(/^sallyport_connections\{/m);
  expect(text).toContain("nodejs_eventloop_lag_p99_seconds");
  expect(await figures.text(watched())).toContain("sallyport_store_up 1");
});

test("attempts are counted by outcome and code, and those refused afterwards by why", async () => {
  const figures = createFigures();
  const attempt = { kind: "connect", outcome: "deny", code: "wrong-credentials", durationMs: 30 } as AttemptRecord;
  figures.attempt(attempt);
  figures.attempt({ ...attempt, outcome: "allow", code: null });
  figures.refusedAfterwards("hook-refused");
  expect(await samples(figures, "sallyport_attempts_total")).toEqual([
    'sallyport_attempts_total{kind="connect",outcome="deny",code="wrong-credentials"} 1',
    'sallyport_attempts_total{kind="connect",outcome="allow",code=""} 1',
  ]);
  expect(await samples(figures, "sallyport_refused_afterwards_total")).toEqual([
    'sallyport_refused_afterwards_total{code="hook-refused"} 1',
  ]);
});

test("a hook's latency is told, and why it did not say yes", async () => {
  const figures = createFigures();
  const answers = ["yes", "no", "failed", "throw"] as const;
  const told = { event: "C" } as Parameters<BoundHook["tell"]>[0];
  for (const answer of answers) {
    const hook = {
      terms: { name: "siem" },
      tell: async () => {
        if (answer === "throw") throw new Error("a fault of ours");
        const failure = answer === "failed" ? "timed-out" : null;
        return { answer, failure, error: null, output: "", durationMs: 1 };
      },
    } as unknown as BoundHook;
    const options = { deadlineMs: 1_000, abort: new AbortController().signal };
    await figures
      .watchHook(hook)
      .tell(told, options)
      .catch(() => undefined);
  }
  expect((await samples(figures, "sallyport_hook_failures_total")).sort()).toEqual([
    'sallyport_hook_failures_total{hook="siem",event="connect",failure="crashed"} 1',
    'sallyport_hook_failures_total{hook="siem",event="connect",failure="no"} 1',
    'sallyport_hook_failures_total{hook="siem",event="connect",failure="timed-out"} 1',
  ]);
  const count = await samples(figures, "sallyport_hook_duration_seconds_count");
  expect(count).toEqual(['sallyport_hook_duration_seconds_count{hook="siem",event="connect"} 4']);
});

test("connections that end are counted by reason, replaced ones too, and each once", async () => {
  const figures = createFigures();
  let left = 1;
  const ledger = {
    reserve: async () => ({ replaced: [{}, {}] }),
    admit: async () => true,
    end: async () => left-- > 0,
  } as unknown as Store["ledger"];
  const store = figures.watchStore({ ledger } as Store);
  await store.ledger.reserve({} as never);
  await store.ledger.admit("1", {} as never);
  for (let times = 0; times < 3; times++) await store.ledger.end("1", { reason: "client" } as never);
  expect(await samples(figures, "sallyport_connections_ended_total")).toEqual([
    'sallyport_connections_ended_total{reason="replaced"} 2',
    'sallyport_connections_ended_total{reason="client"} 1',
  ]);
  expect(await samples(figures, "sallyport_connections_admitted_total")).toEqual([
    "sallyport_connections_admitted_total 1",
  ]);
});

test("a script's workers are told, and deaths are counted beyond the life of their host", async () => {
  const figures = createFigures();
  const hostWith = (deaths: number) =>
    ({ load: () => ({ workers: 3, busy: 1, waiting: 5, deaths }), close: async () => {} }) as unknown as ScriptHost;
  let deaths = 2;
  const { python } = figures.watchLoaders({ python: async () => ({ host: hostWith(deaths) }) });
  const first = (await python?.({ name: "gate", text: "" })) as { host: ScriptHost };
  expect(await samples(figures, "sallyport_script_workers")).toEqual([
    'sallyport_script_workers{script="gate",state="busy"} 1',
    'sallyport_script_workers{script="gate",state="idle"} 2',
  ]);
  await first.host.close();
  deaths = 1;
  await python?.({ name: "gate", text: "" });
  expect(await samples(figures, "sallyport_script_worker_deaths_total")).toEqual([
    'sallyport_script_worker_deaths_total{script="gate"} 3',
  ]);
});
