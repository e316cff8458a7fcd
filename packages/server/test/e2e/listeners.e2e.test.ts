import { isDeepStrictEqual } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askedClient } from "./lab/asked-client.ts";
import type { ConnectionRow } from "./lab/ledger.ts";
import { type Client, type Lab, openLab, until } from "./lab.ts";

let lab: Lab;
const password = "correct horse";

beforeAll(async () => {
  const office = {
    id: "office",
    displayName: "Office",
    openvpn: { managed: { listen: ["udp/1194", "tcp/1194"] } },
    ranges: { ipv4: "10.42.0.0/20", ipv6: "fd42:1::/64" },
    routes: ["10.99.0.0/16"],
  };
  lab = await openLab({ config: { profiles: [office] } });
  await lab.daemon.start();
});

afterAll(() => lab?.[Symbol.asyncDispose]());

/** The client config with the listeners of one transport only. */
async function issuedFor(user: string, transport: "udp" | "tcp"): Promise<string> {
  await lab.addUser(user, password);
  const text = await lab.issue(user);
  const lines = text.split("\n").filter((line) => !line.startsWith("remote ") || line.includes(` ${transport}`));
  return lines.filter((line) => transport === "udp" || !line.startsWith("explicit-exit-notify")).join("\n");
}

async function connected(user: string, transport: "udp" | "tcp"): Promise<Client> {
  const client = await lab.client({ ovpnText: await issuedFor(user, transport), user, password });
  await client.connected();
  return client;
}

describe("UDP and TCP in one profile", () => {
  test("share its ranges: each client is reached on its own tunnel, in both families", async () => {
    const clients = [await connected("over-udp", "udp"), await connected("over-tcp", "tcp")];
    const rows = await lab.json<(ConnectionRow & { listener: string })[]>(["connection", "list"]);
    expect(rows.map(({ listener }) => listener).sort()).toEqual(["tcp/1194", "udp/1194"]);
    expect(new Set(rows.map(({ ipv4 }) => ipv4)).size).toBe(2);
    for (const client of clients) {
      expect(await client.ping("10.42.0.1")).toBe(true);
      expect(await client.ping("fd42:1::1")).toBe(true);
      expect(await client.ping(lab.innerAddress)).toBe(true);
    }
    await Promise.all(clients.map((client) => client.stop()));
  });

  test("a challenge and a refusal are told over TCP as over UDP", async () => {
    const ovpnText = await issuedFor("mistaken", "tcp");
    const wrong = { user: "mistaken", password: "wrong", answers: [] };
    const client = await askedClient(lab, { ovpnText, person: wrong });
    expect(await client.refused()).toContain("Wrong user name or password.");
    await client.stop();
  });

  test.each(["udp", "tcp"] as const)("are reached over IPv6 outside as well (%s)", async (transport) => {
    const user = `six-${transport}`;
    const text = await issuedFor(user, transport);
    const ovpnText = text.replace(/^remote \S+ (\d+) (udp|tcp)\S*$/m, "remote fd18::1 $1 $2");
    expect(ovpnText).not.toBe(text);
    const client = await lab.client({ ovpnText, user, password });
    await client.connected();
    const [row] = await lab.json<(ConnectionRow & { originatingIp: string })[]>(["connection", "list", "--user", user]);
    expect(row?.originatingIp).toMatch(/^fd18::/);
    expect(await client.ping("fd42:1::1")).toBe(true);
    await lab.succeed(["connection", "kill", row?.id ?? ""]);
    await client.stop();
  });

  test("tunnels over both live on when the daemon is killed and started again", async () => {
    const clients = [await connected("stays-udp", "udp"), await connected("stays-tcp", "tcp")];
    await lab.daemon.kill();
    await lab.daemon.start();
    for (const client of clients) {
      expect(await client.ping("10.42.0.1")).toBe(true);
      expect(client.timesConnected()).toBe(1);
    }
    // Of an earlier test's client the server may still be about to hear that it left.
    const stays = async () => {
      const rows = await lab.json<ConnectionRow[]>(["connection", "list"]);
      present = rows.map(({ userId, state }) => `${userId} ${state}`).sort();
      return isDeepStrictEqual(present, ["stays-tcp open", "stays-udp open"]);
    };
    let present: string[] = [];
    await until("the two to be in, and nobody else", stays, { otherwise: () => `${present}` });
    await Promise.all(clients.map((client) => client.stop()));
  });
});

test("access rules of a group hold for its members: what is not named is not reached", async () => {
  await lab.succeed(["group", "add", "narrow"]);
  await lab.succeed(["property", "set", "--group", "narrow", "access_to.0", "+SUBNET:10.99.7.0/24"]);
  await lab.addUser("careful", password);
  await lab.succeed(["property", "set", "--user", "careful", "conn_group", "narrow"]);
  const client = await lab.client({ ovpnText: await lab.issue("careful"), user: "careful", password });
  await client.connected();
  expect(await client.ping(lab.innerAddress)).toBe(false);
  await lab.succeed(["property", "set", "--group", "narrow", "access_to.1", `+SUBNET:${lab.innerAddress}/32`]);
  await client.stop();
  const again = await lab.client({ ovpnText: await lab.issue("careful"), user: "careful", password });
  await again.connected();
  expect(await again.ping(lab.innerAddress)).toBe(true);
  await again.stop();
});
