import { readdir, readFile } from "node:fs/promises";
import {
  agentPaths,
  isTicket,
  type ScriptPlatform,
  type ScriptPrivilege,
  sha256,
  verifyBundle,
} from "@sallyport/protocol";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ScriptOwner } from "../../src/store/client-script-store.ts";
import { type GateHouse, opened, openGateHouse } from "../client-scripts/gate-house.ts";

let house: GateHouse;

beforeAll(async () => {
  house = await openGateHouse();
  await house.store.accounts.addGroup({ id: "eng", createdAt: "2026-01-01T00:00:00.000Z" });
});
beforeEach(async () => {
  await define({ kind: "default" }, "default's");
  await define({ kind: "group", name: "eng" }, "eng's");
});
afterEach(async () => {
  vi.useRealTimers();
  const { clientScripts, ledger, settings } = house.store;
  for (const { scope } of await clientScripts.list()) await clientScripts.remove(scope);
  for (const key of Object.keys(await settings.list())) await settings.delete(key);
  for (const { id } of await ledger.list({ open: true, limit: 100 })) await house.end(id);
});
afterAll(() => house.close());

async function define(owner: ScriptOwner, text: string, platform: ScriptPlatform = "linux", privilege = "user") {
  const scope = { owner, platform, privilege: privilege as ScriptPrivilege, event: "connect" as const };
  const facts = { createdAt: "2026-01-01T00:00:00.000Z", createdBy: "root" };
  await house.store.clientScripts.add({ scope, name: "x.sh", text, sha256: sha256(text), ...facts });
}

const everybody: ScriptOwner = { kind: "default" };
const eng = { name: "eng", properties: {}, subnets: [] };
const issued = async (given: Parameters<GateHouse["connected"]>[0] = {}, platform = "linux") => {
  const connection = await house.connected(given);
  return { connection, ticket: await house.clientScripts.ticketFor(connection, platform) };
};

describe("a ticket", () => {
  test("is exchanged once, for the scripts of its connection's group, signed", async () => {
    const { connection, ticket } = await issued({ group: eng });
    const answer = await house.bundle(ticket);
    expect(await opened(house, answer, ticket)).toMatchObject({
      connectionId: connection.id,
      userId: "alice",
      group: "eng",
      platform: "linux",
      report: null,
      scripts: [{ name: "x.sh", text: "eng's" }],
    });
    expect(await house.bundle(ticket)).toMatchObject({ status: 409, code: "ticket-used" });
    expect(JSON.stringify(house.logged)).not.toContain(ticket);
  });

  test("is good for one of those who use it at the same time", async () => {
    const { ticket } = await issued();
    const answers = await Promise.all([1, 2, 3, 4].map(() => house.bundle(ticket)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409]);
  });

  test("gets nothing of another group, whatever else is asked for with it", async () => {
    const { ticket } = await issued({ group: null });
    for (const extra of [{ group: "eng" }, { groupId: "eng" }, { connectionId: "x" }, { user: "bob" }]) {
      expect(await house.bundle(ticket, extra)).toMatchObject({ status: 400, code: "invalid-input" });
    }
    const { scripts } = await opened(house, await house.bundle(ticket), ticket);
    expect(scripts.map(({ text }) => text)).toEqual(["default's"]);
  });

  test("that was never given out is refused, and so is what is none", async () => {
    expect(await house.bundle("t".repeat(43))).toMatchObject({ status: 403, code: "ticket-unknown" });
    for (const none of ["", "short", "x y", null, "../../".repeat(8)]) {
      expect(await house.bundle(none)).toMatchObject({ status: 400, code: "invalid-input" });
    }
  });

  test("is refused three minutes later", async () => {
    const { ticket } = await issued();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3 * 60_000 + 1_000 });
    expect(await house.bundle(ticket)).toMatchObject({ status: 410, code: "ticket-expired" });
  });

  test("is refused when its connection has ended", async () => {
    const { connection, ticket } = await issued();
    await house.end(connection.id);
    expect(await house.bundle(ticket)).toMatchObject({ status: 409, code: "connection-ended" });
  });

  test("is void when the connection got a later one", async () => {
    const { connection, ticket } = await issued();
    const later = await house.clientScripts.ticketFor(connection, "linux");
    expect(await house.bundle(ticket)).toMatchObject({ status: 403, code: "ticket-unknown" });
    expect((await house.bundle(later)).status).toBe(200);
  });

  test("is refused out of another connection's tunnel, and stays good for its own", async () => {
    const { ticket } = await issued();
    const mallory = await house.connected({ userId: "mallory", ipv4: "127.0.0.1" });
    expect(await house.bundle(ticket)).toMatchObject({ status: 403, code: "ticket-unknown" });
    expect(house.logged).toContainEqual(expect.objectContaining({ presentedBy: mallory.id }));
    await house.end(mallory.id);
    expect((await house.bundle(ticket)).status).toBe(200);
  });

  test("is kept nowhere as it is", async () => {
    const { ticket } = await issued();
    expect(isTicket(ticket ?? "")).toBe(true);
    for (const name of await readdir(house.directory)) {
      if (!name.startsWith("sallyport.db")) continue;
      expect((await readFile(`${house.directory}/${name}`)).includes(ticket ?? "")).toBe(false);
    }
  });

  test("is not given where there is nothing to fetch", async () => {
    expect((await issued({}, "win")).ticket).toBeNull();
    const own = { "prop_cli.script.win.user.connect": "echo own" };
    expect((await issued({ properties: own, ipv4: "10.42.0.10" }, "win")).ticket).not.toBeNull();
  });
});

describe("what decides is", () => {
  test("the platform that the VPN client reported, and the agent's own word only where it did not", async () => {
    await define(everybody, "for windows", "win");
    const told = await issued({ connectionId: "a" }, "win");
    const { scripts, platform } = await opened(house, await house.bundle(told.ticket), told.ticket);
    expect([platform, scripts.map(({ text }) => text)]).toEqual(["win", ["for windows"]]);
    await define(everybody, "for all", "all");
    const phone = await issued({ connectionId: "b", ipv4: "10.42.0.10" }, "android");
    const forPhone = await opened(house, await house.bundle(phone.ticket, { platform: "win" }), phone.ticket);
    expect([forPhone.platform, forPhone.scripts.map(({ text }) => text)]).toEqual([null, ["for all"]]);
  });

  test("the switch for administrators' scripts at the time of the exchange", async () => {
    await define(everybody, "as root", "linux", "admin");
    const texts = async (ipv4: string) => {
      const { ticket } = await issued({ ipv4, connectionId: ipv4 });
      return (await opened(house, await house.bundle(ticket), ticket)).scripts.map(({ text }) => text);
    };
    expect(await texts("10.42.0.10")).toEqual(["default's"]);
    await house.succeed(["config", "set", "vpn.client.admin_scripts", "true"]);
    expect(await texts("10.42.0.11")).toEqual(["as root", "default's"]);
    expect((await house.run(["config", "set", "vpn.client.admin_scripts", "yes"])).status).toBe(1);
  });

  test("what the post-auth scripts left among the properties: standard input", async () => {
    const { ticket } = await issued({ properties: { "prop_cli.script_stdin": "a\nb" } });
    expect((await opened(house, await house.bundle(ticket), ticket)).stdin).toBe("a\nb");
  });
});

describe("out of a WireGuard tunnel", () => {
  const mobile = { profileId: "mobile", protocol: "wireguard", listener: "wg0", ipv4: "127.0.0.1" } as const;
  const ticketAsked = () => house.post(agentPaths.ticket, {});

  test("a ticket is had for the connection whose address asks, and exchanged for its scripts", async () => {
    const { id } = await house.connected({ ...mobile, group: eng });
    const { ticket } = JSON.parse((await ticketAsked()).text);
    const bundle = await opened(house, await house.bundle(ticket), ticket);
    expect(bundle).toMatchObject({ connectionId: id, group: "eng", platform: "linux" });
  });

  test("none is had by an OpenVPN client, an ended connection, or a stranger", async () => {
    const none = { status: 403, code: "ticket-unknown" };
    expect(await ticketAsked()).toMatchObject(none);
    const { id } = await house.connected({ ...mobile });
    await house.end(id);
    expect(await ticketAsked()).toMatchObject(none);
    const { id: openvpn } = await house.connected({ ipv4: "127.0.0.1" });
    expect(await ticketAsked()).toMatchObject(none);
    await house.end(openvpn);
  });

  test("none is had at an address that is not the server's own in that tunnel", async () => {
    // The same source address, but the profile's tunnels have the server elsewhere.
    await house.connected({ ...mobile, profileId: "office" });
    expect(await ticketAsked()).toMatchObject({ status: 403, code: "ticket-unknown" });
  });

  test("one is had at the address that the server has in the subnet of the connection's group", async () => {
    await house.connected({ ...mobile, profileId: "office", group: { ...eng, subnets: ["127.0.0.0/24"] } });
    expect((await ticketAsked()).status).toBe(200);
  });

  test("null says that there are no scripts", async () => {
    await house.succeed(["client-script", "delete", "--default", "--platform", "linux", ...userConnect]);
    await house.connected({ ...mobile });
    expect(JSON.parse((await ticketAsked()).text)).toMatchObject({ ticket: null });
  });
});

const userConnect = ["--privilege", "user", "--event", "connect"];

describe("keys", () => {
  const rotate = (...options: string[]) => house.succeed(["client-script", "key", "rotate", ...options]);
  const keysNow = async () => JSON.parse(await house.succeed(["client-script", "key", "show", "--json"]));
  const faultWith = async (publicKey: string, serverId: string, ipv4: string) => {
    const { ticket } = await issued({ ipv4, connectionId: ipv4 });
    const { text } = await house.bundle(ticket);
    const expected = { serverId, publicKeys: [publicKey], ticket: ticket ?? "", nonce: "n".repeat(22) };
    const result = verifyBundle(text, expected);
    return "fault" in result ? result.fault : "none";
  };

  test("that are rotated leave client configs working; a stolen one leaves none", async () => {
    const { serverId, keys } = await keysNow();
    const [first] = keys;
    await rotate();
    await rotate();
    expect(await faultWith(first.publicKey, serverId, "10.42.0.10")).toBe("none");
    await rotate("--stolen");
    const stolen = (await keysNow()).keys.at(-2);
    expect(await faultWith(first.publicKey, serverId, "10.42.0.11")).toBe("unknown-key");
    expect(await faultWith(stolen.publicKey, serverId, "10.42.0.12")).toBe("unknown-key");
    const latest = (await keysNow()).keys.at(-1);
    await rotate();
    expect(await faultWith(latest.publicKey, serverId, "10.42.0.13")).toBe("none");
  });
});

describe("the listener", () => {
  test("reads no more than it needs", async () => {
    const { ticket } = await issued();
    const large = await house.bundle(ticket, { nonce: "n".repeat(5_000) });
    expect(large).toMatchObject({ status: 400, code: "invalid-input" });
    expect(JSON.parse(large.text).error.message).toBe("the request is larger than the 4096 bytes that are read here");
    for (const body of ["{", "[]", '"x"', "null", '{"__proto__":{"ticket":"x"}}']) {
      expect((await house.post(agentPaths.bundle, body)).status).toBe(400);
    }
    expect((await house.bundle(ticket)).status).toBe(200);
  });

  test("answers so many requests of one address in a minute, and no ticket is lost by that", async () => {
    const another = await openGateHouse();
    try {
      const own = { "prop_cli.script.all.user.connect": "x" };
      const ticket = await another.clientScripts.ticketFor(await another.connected({ properties: own }), "linux");
      const statuses = new Set<number>();
      for (let round = 0; round < 70 && !statuses.has(429); round += 1) {
        const answers = await Promise.all(Array.from({ length: 10 }, () => another.bundle("t".repeat(43))));
        for (const { status } of answers) statuses.add(status);
      }
      expect([...statuses]).toEqual([403, 429]);
      expect(await another.bundle(ticket)).toMatchObject({ status: 429, code: "too-many-requests" });
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 61_000 });
      expect((await another.bundle(ticket)).status).toBe(200);
    } finally {
      await another.close();
    }
  });
});
