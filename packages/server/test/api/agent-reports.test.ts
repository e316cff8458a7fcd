import { agentPaths } from "@sallyport/protocol";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type GateHouse, opened, openGateHouse } from "../client-scripts/gate-house.ts";

let house: GateHouse;

beforeAll(async () => {
  house = await openGateHouse();
  await house.succeed(["config", "set", "vpn.client.script_reports", "true"]);
});
afterEach(async () => {
  vi.useRealTimers();
  for (const { id } of await house.store.ledger.list({ open: true, limit: 100 })) await house.end(id);
});
afterAll(() => house.close());

describe("what scripts came to on users' machines", () => {
  const report = (change: object = {}) => ({
    name: "x.sh",
    event: "connect",
    privilege: "user",
    sha256: "ab".repeat(32),
    outcome: "ran",
    startedAt: "2026-01-01T00:00:00.000Z",
    durationMs: 5,
    exitCode: 0,
    signal: null,
    detail: null,
    output: "hello\n",
    ...change,
  });
  const send = (token: string, ...reports: object[]) => house.post(agentPaths.output, { token, reports });
  const tokenOf = async () => {
    const connection = await house.connected({ properties: { "prop_cli.script.all.user.connect": "x" } });
    const ticket = await house.clientScripts.ticketFor(connection, "linux");
    const bundle = await opened(house, await house.bundle(ticket), ticket);
    return { id: connection.id, token: bundle.report?.token ?? "" };
  };

  test("is kept with the connection, also those of its end, with control characters made visible", async () => {
    const { id, token } = await tokenOf();
    expect((await send(token, report({ output: "a\r\n\u001b[2Jb\u0000\u009b\u202e\n" }))).text).toBe('{"kept":1}');
    await house.end(id);
    const refused = report({ event: "disconnect", outcome: "refused", exitCode: null, detail: "by\nthe \u001b owner" });
    expect((await send(token, refused)).status).toBe(200);
    const kept = await house.store.clientScripts.reports(id);
    expect(kept.map(({ outcome, output, detail }) => [outcome, output, detail])).toEqual([
      ["ran", "a\n␛[2Jb␀??\n", null],
      ["refused", "hello\n", "by the ␛ owner"],
    ]);
  });

  test("is bounded, each and all together", async () => {
    const { id, token } = await tokenOf();
    expect((await send(token, report({ output: "ü".repeat(100_000) }))).status).toBe(200);
    const [{ output } = { output: "" }] = await house.store.clientScripts.reports(id);
    expect(Buffer.byteLength(output)).toBeLessThanOrEqual(64 * 1024);
    expect(output.endsWith("ü\n[cut]")).toBe(true);
    const many = Array.from({ length: 64 }, () => report());
    expect((await send(token, ...many)).text).toBe('{"kept":63}');
    expect((await send(token, report())).text).toBe('{"kept":0}');
    expect(await send(token, ...many, report())).toMatchObject({ status: 400 });
    expect(await send(token, report({ output: "x".repeat(600_000) }))).toMatchObject({ status: 400 });
  });

  test("is refused without the token of a bundle, or ten minutes after the end", async () => {
    const { id, token } = await tokenOf();
    expect(await send("r".repeat(43), report())).toMatchObject({ status: 403, code: "ticket-unknown" });
    await house.end(id);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 11 * 60_000 });
    expect(await send(token, report())).toMatchObject({ status: 409, code: "connection-ended" });
  });

  test.each([
    ["name", 7],
    ["outcome", "fine"],
    ["sha256", "x"],
    ["startedAt", "yesterday"],
    ["durationMs", -1],
    ["extra", 1],
  ])("is refused with a wrong %s", async (field, value) => {
    const { token } = await tokenOf();
    expect(await send(token, report({ [field]: value }))).toMatchObject({ status: 400, code: "invalid-input" });
  });
});
