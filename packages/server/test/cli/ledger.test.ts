import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { AttemptRecord } from "../../src/core/attempt.ts";
import { attemptCode } from "../../src/core/attempt-code.ts";
import { secondsOpen } from "../../src/core/connection.ts";
import { errorTable } from "../../src/core/errors.ts";
import { newId } from "../../src/core/id.ts";
import { reserve } from "../hooks/ledger.ts";
import { startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startTestDaemon();
});

afterAll(async () => await daemon.close());

type Row = { id: string; userId: string; profileId: string; state: string };

test("open connections are listed, past ones are in the log, and one is ended by its id", async () => {
  const first = await reserve(daemon.store, { userId: "alice", properties: { pvt_google_auth_secret: "JBSWY3DP" } });
  const second = await reserve(daemon.store, { userId: "bob" });
  for (const { id } of [first, second]) {
    await daemon.store.ledger.admit(id, { at: new Date().toISOString(), save: {}, observers: ["firewall"] });
  }
  const open = (await daemon.json(["connection", "list"])) as Row[];
  expect(open.map(({ userId }) => userId).sort()).toEqual(["alice", "bob"]);
  expect(open).toContainEqual({
    ...(await daemon.store.ledger.get(first.id)),
    properties: { pvt_google_auth_secret: "[secret]" },
    durationSeconds: expect.any(Number),
  });
  expect((await daemon.json(["connection", "list", "--user", "bob"])) as Row[]).toHaveLength(1);
  expect(await daemon.json(["connection", "list", "--profile", "nowhere"])).toEqual([]);

  expect((await daemon.run(["connection", "kill", first.id])).stdout).toBe(`Ended connection ${first.id}.\n`);
  expect(((await daemon.json(["connection", "list"])) as Row[]).map(({ id }) => id)).toEqual([second.id]);
  expect(await daemon.json(["connection", "log", "--user", "alice"])).toMatchObject([
    { id: first.id, endReason: "admin" },
  ]);
  expect(await daemon.run(["connection", "kill", first.id])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("conflict"),
  });
  const { stdout } = await daemon.run(["connection", "log", "--limit", "1"]);
  expect(stdout.split("\n")).toHaveLength(3);
});

test("how long a connection lasted is what hooks are told: from when traffic could flow", async () => {
  const { id } = await reserve(daemon.store, { userId: "erin" });
  await daemon.store.ledger.admit(id, { at: new Date().toISOString(), save: {}, observers: [] });
  const row = await daemon.store.ledger.get(id);
  if (row === undefined) throw new Error("the row is gone");
  const lasted = (endedAt: string) => ({
    ...row,
    admittedAt: "2026-01-01T00:00:00.000Z",
    establishedAt: "2026-01-01T00:00:00.900Z",
    endedAt,
  });
  expect(secondsOpen(lasted("2026-01-01T00:00:05.100Z"))).toBe(4);
  expect(secondsOpen({ ...lasted("2026-01-01T00:00:05.100Z"), establishedAt: null })).toBe(5);
  expect(secondsOpen(lasted("2025-12-31T00:00:00.000Z"))).toBe(0);
  const refused = await reserve(daemon.store, { userId: "erin", connectionId: "refused" });
  const soon = new Date(Date.now() + 10_000).toISOString();
  const over = { reason: "rejected", detail: null, counts: null, release: true, subscribers: [] } as const;
  await daemon.store.ledger.end(refused.id, { ...over, at: soon });
  expect(await daemon.json(["connection", "show", refused.id])).toMatchObject({ durationSeconds: 0 });
});

test("all of a user's connections are ended together", async () => {
  await reserve(daemon.store, { userId: "carol" });
  await reserve(daemon.store, { userId: "carol", connectionId: "another device" });
  expect((await daemon.json(["connection", "kill", "--user", "carol"])) as Row[]).toHaveLength(2);
  expect(await daemon.run(["connection", "kill", "--user", "carol"])).toMatchObject({ status: 0, stdout: "" });
  expect(await daemon.run(["connection", "kill"])).toMatchObject({ status: 2 });
});

test("one connection is shown with what its hooks were told", async () => {
  const { id } = await reserve(daemon.store, { userId: "dave", connectionId: "evil\u001b[2J device" });
  await daemon.store.ledger.admit(id, { at: new Date().toISOString(), save: {}, observers: ["firewall"] });
  expect(await daemon.json(["connection", "show", id])).toMatchObject({
    id,
    deliveries: [{ hook: "firewall", event: "connect", state: "waiting" }],
  });
  const { stdout } = await daemon.run(["connection", "show", id]);
  expect(stdout).toContain("evil\\x1b[2J device");
  expect(stdout).toMatch(/HOOK +EVENT +STATE/);
  expect((await daemon.run(["connection", "show", newId()])).stderr).toContain("not-found");
});

test("spans and limits that are none are wrong usage", async () => {
  for (const wrong of [["--since", "yesterday"], ["--limit", "0"], ["--limit", "many"], ["--frobnicate"]]) {
    expect(await daemon.run(["connection", "log", ...wrong])).toMatchObject({ status: 2, stdout: "" });
  }
  expect(await daemon.json(["connection", "log", "--since", "2099-01-01"])).toEqual([]);
});

test("hooks are listed, checked and tried", async () => {
  expect(await daemon.json(["hook", "list"])).toMatchObject([
    { id: "firewall", target: `script ${daemon.hookFile}`, veto: true, events: ["connect", "disconnect"] },
  ]);
  expect((await daemon.run(["hook", "list"])).stdout).toContain("firewall");
  expect(await daemon.run(["hook", "check", daemon.hookFile])).toMatchObject({ status: 0 });
  expect(await daemon.run(["hook", "check", daemon.config])).toMatchObject({
    status: 1,
    stdout: expect.stringContaining("not executable"),
    stderr: expect.stringContaining("hook-failed"),
  });
  const module = join(dirname(daemon.hookFile), "wrong.ts");
  await writeFile(module, "const most: { bytes: number } = { bytes: 1 as string | number };\nexport default most;\n");
  // Why the compiler says what it says stands below it.
  expect((await daemon.run(["hook", "check", module])).stdout).toMatch(
    /^fault: line 1, column \d+: .*not assignable to type 'number'\.\n +Type 'string' is not assignable/m,
  );
  const yes = await daemon.run(["hook", "test", "firewall", "--event", "connect"]);
  expect(yes).toMatchObject({ status: 0, stdout: expect.stringMatching(/said yes to a connect.*heard C/s) });
  const no = await daemon.run(["--json", "hook", "test", "firewall"]);
  expect(no).toMatchObject({ status: 1, stderr: expect.stringContaining("hook-refused") });
  expect(JSON.parse(no.stdout)).toMatchObject([
    { event: "connect", answer: "yes" },
    { event: "disconnect", answer: "no", output: "heard D\n" },
  ]);
  expect((await daemon.run(["hook", "test", "nohook"])).stderr).toContain("not-found");
});

test("a delivery that failed is listed with whose it was, and tried again", async () => {
  const { id: sessionId } = await reserve(daemon.store, { userId: "erin" });
  await daemon.store.ledger.admit(sessionId, { at: new Date().toISOString(), save: {}, observers: ["firewall"] });
  const [waiting] = await daemon.store.deliveries.list({ sessionId, limit: 1 });
  const id = waiting?.id ?? "";
  expect((await daemon.run(["hook", "retry", id])).stderr).toContain("conflict");
  const at = new Date().toISOString();
  await daemon.store.deliveries.takeDue({ now: at, leaseUntil: at, limit: 1000, busy: [] });
  await daemon.store.deliveries.finish(id, { at, state: "failed", durationMs: 3, output: "", error: "exit \u001b7" });
  const failed = await daemon.json(["hook", "deliveries", "--failed", "--connection", sessionId]);
  expect(failed).toMatchObject([{ id, state: "failed", userId: "erin", profileId: "office", sessionId }]);
  expect((await daemon.run(["hook", "deliveries", "--failed"])).stdout).toContain("exit \\x1b7");
  expect(await daemon.json(["hook", "retry", id])).toMatchObject({ id, attempts: 0 });
  expect((await daemon.run(["hook", "retry", "nothing"])).stderr).toContain("not-found");
});

function attempt(changes: Partial<AttemptRecord>): AttemptRecord {
  return {
    id: newId(),
    at: new Date().toISOString(),
    kind: "connect",
    profileId: "office",
    protocol: "openvpn",
    userId: "alice",
    clientAddress: "192.0.2.7",
    certificateSerial: null,
    commonName: null,
    authMethod: "local",
    outcome: "deny",
    code: "script-failed",
    reason: "KeyError: 'x'",
    clientReason: "The VPN cannot complete your sign-in.",
    properties: { pvt_password_digest: "sesame" },
    trace: [
      {
        step: "run-post-auth",
        outcome: "denied",
        detail: "KeyError: 'x'\u001b[1m",
        durationMs: 3.21,
        printed: "hello\u0007\n",
        traceback: "Traceback:\n  File \"script\", line 7\nKeyError: 'x'",
        changes: { conn_group: [null, "eng"] },
      },
    ],
    durationMs: 5,
    scriptInput: null,
    ...changes,
  };
}

test("attempts are listed newest first, at once though they are written in batches", async () => {
  const older = attempt({ userId: "frank", at: "2026-01-01T00:00:00.000Z" });
  const newer = attempt({ userId: "frank", at: "2026-01-02T00:00:00.000Z" });
  daemon.store.attempts.record(older);
  daemon.store.attempts.record(newer);
  const listed = (await daemon.json(["attempt", "list", "--user", "frank"])) as AttemptRecord[];
  expect(listed.map(({ id }) => id)).toEqual([newer.id, older.id]);
  expect(JSON.stringify(listed)).not.toContain("sesame");
  expect(await daemon.json(["attempt", "list", "--user", "nobody"])).toEqual([]);
});

test("a decision is explained in plain words, by its id or a user's last", async () => {
  const last = attempt({ userId: "grace" });
  daemon.store.attempts.record(last);
  for (const which of [[last.id], ["--user", "grace", "--last"]]) {
    const { stdout, status } = await daemon.run(["explain", ...which]);
    expect(status).toBe(0);
    expect(stdout).toContain("grace asked to connect to profile office from 192.0.2.7 and was refused.");
    expect(stdout).toContain(`${errorTable["script-failed"].meaning} (script-failed)`);
    expect(stdout).toContain("Kind:        outage (an administrator: something is broken)");
    expect(stdout).toContain("line 7");
    expect(stdout).toContain('conn_group: (none) -> "eng"');
    expect(stdout).toContain("hello\\x07");
    expect(stdout).toContain(`Next: ${errorTable["script-failed"].next}`);
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
  }
  expect((await daemon.run(["attempt", "show", last.id])).stdout).toContain("grace asked to connect");
  expect(await daemon.json(["explain", last.id])).toMatchObject({
    id: last.id,
    explanation: { code: "script-failed", kind: "outage" },
  });
});

test("the code that a refused person read finds their attempt, however it is typed", async () => {
  const refused = attempt({ userId: "hal" });
  daemon.store.attempts.record(refused);
  const code = attemptCode(refused.id);
  for (const typed of [code, code.toLowerCase()]) {
    expect(await daemon.json(["explain", "--code", typed])).toMatchObject({ id: refused.id });
  }
  const unknown = await daemon.run(["explain", "--code", code === "ZZZZZZ" ? "YYYYYY" : "ZZZZZZ"]);
  expect(unknown).toMatchObject({ status: 1, stderr: expect.stringContaining("not-found") });
  expect((await daemon.run(["explain", "--code", "no-such-code"])).stderr).toContain("there is no error code");
});

test("who was let in by the sign-in and refused by a hook afterwards is explained as that", async () => {
  const admitted = attempt({ userId: "vera", outcome: "allow", code: null, reason: "local auth succeeded" });
  daemon.store.attempts.record(admitted);
  const { id } = await reserve(daemon.store, { userId: "vera", attemptId: admitted.id });
  const { stdout: before } = await daemon.run(["explain", admitted.id]);
  expect(before).toContain(`Connection:  reserved; see \`sallyport connection show ${id}\``);
  await daemon.store.ledger.end(id, {
    at: new Date().toISOString(),
    reason: "rejected",
    detail: "hook firewall refused: no",
    counts: null,
    release: true,
    subscribers: [],
  });
  const { stdout } = await daemon.run(["explain", "--user", "vera", "--last"]);
  expect(stdout).toContain(
    "vera asked to connect to profile office from 192.0.2.7 and passed the sign-in, but was refused",
  );
  expect(stdout).toContain(`Connection:  refused after the sign-in: hook firewall refused: no; see`);
});

test("every error code is explained, without a daemon", async () => {
  for (const [code, { meaning, next }] of Object.entries(errorTable)) {
    const { status, stdout } = await daemon.run(["explain", "--config", "/nowhere", "--code", code]);
    expect(status).toBe(0);
    expect(stdout).toContain(meaning);
    expect(stdout).toContain(next);
  }
});

test("what is to be explained must be clear", async () => {
  for (const wrong of [
    [],
    ["--last"],
    ["--user", "a"],
    ["id", "--code", "internal"],
    ["id", "--user", "a", "--last"],
  ]) {
    expect(await daemon.run(["explain", ...wrong])).toMatchObject({ status: 2, stdout: "" });
  }
  expect(await daemon.run(["explain", "--code", "toString"])).toMatchObject({ status: 1 });
  expect((await daemon.run(["explain", "--user", "never", "--last"])).stderr).toContain("not-found");
});
