import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { callDaemon } from "../../src/cli/daemon.ts";
import { type FreeRadius, secret, startFreeRadius } from "../auth/methods/freeradius.ts";
import type { ConnectionRow } from "./lab/ledger.ts";
import { inside } from "./lab/network.ts";
import { interfaceName, startWireGuardClient, type WireGuardClient } from "./lab/wireguard-client.ts";
import { type Lab, openLab, until } from "./lab.ts";

/*
 * Real clients, OpenVPN's and WireGuard's, signed in and accounted for by one FreeRADIUS, and asked about by a module.
 */

const password = "wonder land";
type Delivery = { hook: string; event: string; state: string; sessionId: string; output: string | null };
type Device = { revokedAt: string | null; endReason?: string; lastSeenAt?: string };

let lab: Lab;
let freeradius: FreeRadius;
let client: WireGuardClient | undefined;
const [mobile, roaming] = [interfaceName(), interfaceName()];

const moduleText = `import { defineHook, deny } from "@sallyport/sdk";
export default defineHook((event, ctx) => {
  ctx.log(event.event === "D" ? \`\${event.userId} brought \${typeof event.bytesIn}\` : \`\${event.userId} on \${event.proto}\`);
  if (event.event === "C" && event.userId === "bob")
    return deny({ reason: "bob is not in the inventory", clientReason: "Your device is not in the inventory." });
  return;
});
`;

beforeAll(async () => {
  lab = await openLab();
  const startedBy = (words: readonly string[]) => inside(lab.network.server, words);
  freeradius = await startFreeRadius({ messageAuthenticator: true, startedBy });
  await writeFile(join(lab.directory, "inventory.ts"), moduleText);
  const server = { server: "127.0.0.1", port: freeradius.accountingPort, secret };
  await lab.configure({
    connectScriptPath: undefined,
    hooks: [
      { name: "inventory", module: "./inventory.ts", veto: true, showOutput: true, deadlineMs: 20_000 },
      { name: "accounting", radiusAccounting: server },
    ],
    profiles: [
      { id: "office", openvpn: { managed: { listen: ["udp/1194"] } }, ranges: { ipv4: "10.42.0.0/20" } },
      {
        id: "mobile",
        wireguard: { managed: { interface: mobile, listenPort: 51_820 }, unusedDays: 1 },
        ranges: { ipv4: "10.43.0.0/24" },
      },
      {
        id: "roaming",
        wireguard: { managed: { interface: roaming, listenPort: 51_821 }, trigger: "handshake", unusedDays: 1 },
        ranges: { ipv4: "10.44.0.0/24" },
      },
    ],
  });
  await lab.daemon.start();
  const settings = {
    "auth.module.type": "radius",
    "auth.radius.0.server.0.host": "127.0.0.1",
    "auth.radius.0.server.0.auth_port": `${freeradius.port}`,
    "auth.radius.0.server.0.secret": secret,
  };
  for (const [key, value] of Object.entries(settings)) await ask("config-set", { key, value });
});

afterAll(async () => {
  await client?.stop();
  await freeradius?.stop();
  await lab[Symbol.asyncDispose]();
});

/** What FreeRADIUS took note of, by connection: a record for each packet. */
async function accounted(session: string): Promise<Record<string, string>[]> {
  return (await freeradius.accounted())
    .split(/\n\n+/)
    .filter((record) => record.includes(`"${session}"`))
    .map((record) =>
      Object.fromEntries([...record.matchAll(/^\t([\w-]+) = "?(.*?)"?$/gm)].map(([, key, value]) => [key, value])),
    );
}

const records = (session: string, count: number) =>
  until(`${count} records of ${session}`, async () => {
    const all = await accounted(session);
    return all.length >= count && all;
  });
/** What the command line asks the daemon, without a process for each question. */
const ask = async <Result>(command: string, input: object): Promise<Result> =>
  (await callDaemon({ dataDirectory: lab.dataDirectory, command, input, deadlineMs: 60_000 })) as Result;
const rowOf = async (userId: string) => (await ask<ConnectionRow[]>("connection-log", { userId }))[0];
const printed = async (session: string) =>
  (await ask<Delivery[]>("delivery-list", { hook: "inventory" }))
    .filter(({ sessionId }) => sessionId === session)
    .map(({ event, output }) => [event, output?.trim()]);

test("OpenVPN: the module is asked, RADIUS accounts for what it let in, from Start to Stop with bytes and Class", async () => {
  const ovpnText = await lab.issue("alice");
  const client = await lab.client({ ovpnText, user: "alice", password });
  await client.connected(60_000);
  const { ipv4 } = await client.addresses();
  expect(await client.ping("10.42.0.1", { count: 2 })).toBe(true);
  await client.stop();
  const row = await until("the row to end", async () => {
    const found = await rowOf("alice");
    return found !== undefined && found.endReason !== null && found;
  });
  const [start, stop, ...more] = await records(row.id, 2);
  expect(more).toEqual([]);
  const both = { "User-Name": "alice", "Framed-IP-Address": ipv4, Class: "0x656e67696e65657273" };
  expect(start).toMatchObject({ ...both, "Acct-Status-Type": "Start" });
  expect(stop).toMatchObject({
    ...both,
    "Acct-Status-Type": "Stop",
    "Acct-Terminate-Cause": "User-Request",
    "Acct-Input-Octets": `${row.bytesIn}`,
    "Acct-Output-Octets": `${row.bytesOut}`,
  });
  expect(row.bytesIn).toBeGreaterThan(100);
  await until("the module to hear of the end", async () => (await printed(row.id)).length === 2);
  expect((await printed(row.id)).sort()).toEqual([
    ["connect", "alice on openvpn"],
    ["disconnect", "alice brought number"],
  ]);
});

test("whom the module refuses reads why, and no accounting server hears of", async () => {
  const client = await lab.client({ ovpnText: await lab.issue("bob"), user: "bob", password: "builder" });
  expect(await client.refused()).toBe("Your device is not in the inventory.");
  await client.stop();
  const row = await rowOf("bob");
  expect(row).toMatchObject({ endReason: "rejected", admittedAt: null });
  expect(await accounted(row?.id ?? "")).toEqual([]);
});

test("WireGuard: the same module and accounting; a file handed out and never used is taken back, one in use is not", async () => {
  for (const name of ["ina", "jan"]) await ask("user-add", { name });
  const issue = async (userId: string, profileId: string) =>
    (await ask<{ file: string }>("client-config-issue", { userId, profileId })).file;
  const device = await startWireGuardClient(lab.network, lab.directory, await issue("ina", "roaming"));
  client = device;
  await issue("jan", "mobile");
  await until("ina's traffic", () => device.ping("10.44.0.1"));
  const devices = async (userId: string) => await ask<Device[]>("client-config-list", { userId });
  await until("ina's handshake to be known", async () => (await devices("ina"))[0]?.lastSeenAt !== undefined);
  const [ina, jan] = [await rowOf("ina"), await rowOf("jan")];
  expect(await printed(ina?.id ?? "")).toEqual([["connect", "ina on wireguard"]]);

  const status = JSON.parse(await lab.succeed(["sacli", "VPNStatus"])) as Record<string, { client_list: string[][] }>;
  const shown = ["wireguard_0", "wireguard_1"].map((name) =>
    status[name]?.client_list.map((columns) => [columns[8], columns[2], columns[1] !== ""]),
  );
  expect(shown).toEqual([[["jan", "10.43.0.2", false]], [["ina", "10.44.0.2", true]]]);

  // As if both had been handed out two days ago; what was not used is looked for at each start, and hourly.
  await lab.daemon.kill();
  const database = new Database(join(lab.dataDirectory, "sallyport.db"), { timeout: 10_000 });
  const longAgo = new Date(Date.now() - 2 * 86_400_000).toISOString();
  database.prepare("update client_configs set issued_at = ? where profile_id in ('mobile', 'roaming')").run(longAgo);
  database.close();
  await lab.daemon.start();
  const [, stop] = await records(jan?.id ?? "", 2);
  expect(stop).toMatchObject({
    "User-Name": "jan",
    "Acct-Status-Type": "Stop",
    "Acct-Terminate-Cause": "Session-Timeout",
  });
  expect(await rowOf("jan")).toMatchObject({ endReason: "expired" });
  expect((await devices("jan")).map(({ endReason }) => endReason)).toEqual(["unused"]);
  expect((await devices("ina")).map(({ revokedAt }) => revokedAt)).toEqual([null]);
  expect(await device.ping("10.44.0.1", 2)).toBe(true);

  expect(await lab.daemon.stop()).toBe(0);
  const [start, end] = await records(ina?.id ?? "", 2);
  expect(start).toMatchObject({ "User-Name": "ina", "Framed-IP-Address": "10.44.0.2" });
  expect(end).toMatchObject({ "Acct-Status-Type": "Stop", "Acct-Terminate-Cause": "Admin-Reboot" });
  expect(Number(end?.["Acct-Input-Octets"])).toBeGreaterThan(0);
});
