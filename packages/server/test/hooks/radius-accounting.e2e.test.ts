import { createSocket } from "node:dgram";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { composeAccounting } from "../../src/compose/radius-accounting.ts";
import type { Connection } from "../../src/core/connection.ts";
import { Secret } from "../../src/core/secret.ts";
import type { Hooks } from "../../src/hooks/dispatch.ts";
import { type AccountingServer, radiusAccounting } from "../../src/hooks/kinds/radius-accounting.ts";
import { createRadiusClient, type RadiusClient } from "../../src/radius/client.ts";
import { type FreeRadius, secret, startFreeRadius } from "../auth/methods/freeradius.ts";
import { until } from "../waiting.ts";
import { hooksOf, silent, terms } from "./hook.ts";
import { openLedger, type TestLedger } from "./ledger.ts";

let freeradius: FreeRadius;
let client: RadiusClient;
let ledger: TestLedger;
let hooks: Hooks | undefined;

beforeAll(async () => {
  freeradius = await startFreeRadius({ messageAuthenticator: true });
});
afterAll(() => freeradius.stop());
beforeEach(async () => {
  client = createRadiusClient();
  ledger = await openLedger();
});
afterEach(async () => {
  await hooks?.stop(1_000);
  hooks = undefined;
  client.close();
  await ledger[Symbol.asyncDispose]();
});

const real = (): AccountingServer => ({
  host: "127.0.0.1",
  port: freeradius.accountingPort,
  secret: new Secret(secret),
});

function accounting(servers: readonly AccountingServer[], clock?: () => number) {
  const connection = (id: string) => ledger.store.ledger.get(id);
  return radiusAccounting({
    servers,
    client,
    nasIdentifier: "vpn.example.org",
    connection,
    ...(clock && { clock }),
  });
}

/** A server that is slow to answer is told again only after the deadline. */
async function start(
  servers: readonly AccountingServer[],
  { clock, deadlineMs = 20_000 }: { clock?: () => number; deadlineMs?: number } = {},
): Promise<Hooks> {
  const { tell } = accounting(servers, clock);
  hooks = hooksOf([{ terms: terms("accounting", { deadlineMs }), tell, target: "radius" }], ledger.store);
  await hooks.start();
  return hooks;
}

/** What FreeRADIUS noted of a session: one record for each packet, by attribute. */
async function noted({ id }: Connection): Promise<Record<string, string[]>[]> {
  return (await freeradius.accounted())
    .split(/\n\n+/)
    .filter((record) => record.includes(`"${id}"`))
    .map((record) => {
      const attributes: Record<string, string[]> = {};
      for (const [, name = "", value = ""] of record.matchAll(/^\t([\w-]+) = (.*)$/gm)) {
        attributes[name] = [...(attributes[name] ?? []), value];
      }
      return attributes;
    });
}

const settled = (connection: Connection) =>
  until("all is told", async () => (await ledger.deliveries(connection.id)).every(({ state }) => state === "done"));

describe("RADIUS accounting, as FreeRADIUS understands it", () => {
  it("is a Start and a Stop of one session, with addresses, counts beyond 4 GiB, the end's cause and the Class", async () => {
    const running = await start([real()]);
    const connection = await ledger.admitted(["accounting"], {
      userId: `O'Brien "Zoë"`,
      radiusClasses: ["engineers", "0x00ff10"],
    });
    await ledger.store.ledger.established(connection.id, new Date(Date.now() - 90_000).toISOString());
    running.wake();
    await settled(connection);
    await ledger.store.ledger.end(connection.id, {
      at: new Date().toISOString(),
      reason: "expired",
      detail: null,
      counts: { bytesIn: 5 * 2 ** 32 + 7, bytesOut: 1_000 },
      release: true,
      subscribers: ["accounting"],
    });
    running.wake();
    await settled(connection);
    const [first, last, ...more] = await noted(connection);
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      "Acct-Status-Type": ["Start"],
      "Acct-Session-Id": [`"${connection.id}"`],
      "NAS-Identifier": ['"vpn.example.org"'],
      "NAS-Port-Type": ["Virtual"],
      "Calling-Station-Id": ['"198.51.100.20"'],
      "Framed-IP-Address": [connection.ipv4],
      Class: ["0x656e67696e65657273", "0x00ff10"],
    });
    expect(first?.["User-Name"]?.[0]).toContain("Brien");
    expect(last).toMatchObject({
      "Acct-Status-Type": ["Stop"],
      "Acct-Session-Id": [`"${connection.id}"`],
      "Framed-IP-Address": [connection.ipv4],
      "Acct-Input-Octets": ["7"],
      "Acct-Input-Gigawords": ["5"],
      "Acct-Output-Octets": ["1000"],
      "Acct-Output-Gigawords": ["0"],
      "Acct-Terminate-Cause": ["Session-Timeout"],
      Class: ["0x656e67696e65657273", "0x00ff10"],
    });
    expect(Number(last?.["Acct-Session-Time"]?.[0])).toBeGreaterThanOrEqual(90);
  });

  it("goes to the next server where one is silent, gone or answers with another secret, and says how late it is", async () => {
    const silence = createSocket("udp4");
    await new Promise<void>((bound) => silence.bind(0, "127.0.0.1", bound));
    const away = { ...real(), port: silence.address().port };
    const stranger = { ...real(), secret: new Secret("another secret") };
    try {
      const alone = accounting([stranger, away]);
      const connection = await ledger.admitted(["accounting"]);
      const event = { ...(await eventOf(connection)), event: "C" } as const;
      const lost = await alone.tell(event, { deadlineMs: 800, abort: new AbortController().signal });
      expect(lost).toMatchObject({ answer: "failed", failure: "unreachable" });
      expect(lost.error).toContain(`127.0.0.1:${away.port} did not answer within`);
      expect(await noted(connection)).toEqual([]);
      // Told a minute later, by the same event.
      const running = await start([away, real()], { clock: () => Date.now() + 60_000, deadlineMs: 4_000 });
      running.wake();
      await settled(connection);
      const [first] = await noted(connection);
      expect(Number(first?.["Acct-Delay-Time"]?.[0])).toBeGreaterThanOrEqual(60);
    } finally {
      silence.close();
    }
  });

  it("tells of what is open with the counts of that moment, round by round, and of nothing that is over", async () => {
    const open = await ledger.admitted([]);
    const over = await ledger.admitted([]);
    await ledger.end(over.id, []);
    await ledger.store.ledger.traffic([{ id: open.id, bytesIn: 11, bytesOut: 22 }]);
    const node = { number: 0, url: "https://vpn.example.org", hostName: "vpn.example.org" };
    const composed = composeAccounting({ node, ledger: ledger.store.ledger, log: silent });
    composed.refresh([{ ...terms("accounting"), kind: "radiusAccounting", servers: [real()], interimMs: 200 }]);
    try {
      await until("two rounds are noted", async () => (await noted(open)).length >= 2);
    } finally {
      composed.close();
    }
    expect((await noted(open))[0]).toMatchObject({
      "Acct-Status-Type": ["Interim-Update"],
      "Acct-Input-Octets": ["11"],
      "Acct-Output-Octets": ["22"],
    });
    expect(await noted(over)).toEqual([]);
  });
});

async function eventOf(connection: Connection) {
  const { id: sessionId, connectEventId: eventId, userId, profileId, connectionId } = connection;
  const node = { nodeNumber: 0, nodeUrl: "https://vpn.example.org", nodeHostName: "vpn.example.org" };
  return { eventId, sessionId, attempt: 1, userId, profileId, connectionId, proto: "openvpn", ...node } as const;
}
