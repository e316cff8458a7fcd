import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { callDaemon } from "../../src/cli/daemon.ts";
import { newKeyPair } from "../../src/client-configs/wireguard-keys.ts";
import { startChild } from "./lab/child.ts";
import { type ConnectionRow, heldAddresses } from "./lab/ledger.ts";
import { inside } from "./lab/network.ts";
import { interfaceName, readConf, startWireGuardClient } from "./lab/wireguard-client.ts";
import { type HookCall, type Lab, openLab, until } from "./lab.ts";

const execute = promisify(execFile);

type Config = { id: string; userId: string; connectionId: string; revokedAt: string | null; endReason?: string };

const managed = (id: string, name: string, port: number, third: number, extra: object = {}) => ({
  id,
  wireguard: { managed: { interface: name, listenPort: port }, ...extra },
  ranges: { ipv4: `10.43.${third}.0/24`, ipv6: `fd43:${third}::/64` },
  routes: ["10.99.0.0/16"],
});

/** What the tests ask of a lab again and again. */
function asked(lab: Lab) {
  const onServer = async (...words: string[]) => {
    const [program = "", ...args] = inside(lab.network.server, words);
    return (await execute(program, args)).stdout;
  };
  return {
    onServer,
    /** Public keys on an interface that may send something. */
    peers: async (name: string) => {
      const lines = (await onServer("wg", "show", name, "allowed-ips")).trim().split("\n").filter(Boolean);
      return lines.flatMap((line) => (line.endsWith("(none)") ? [] : [line.split("\t")[0] ?? ""]));
    },
    issue: (user: string, profile: string, ...more: string[]) =>
      lab.succeed(["client-config", "issue", "--user", user, "--profile", profile, ...more]),
    configs: (user: string) => lab.json<Config[]>(["client-config", "list", "--user", user]),
    open: async (user: string) => await lab.json<ConnectionRow[]>(["connection", "list", "--user", user]),
    log: async (user: string) => await lab.json<ConnectionRow[]>(["connection", "log", "--user", user]),
    /** What the hook was told of a user, in order. */
    told: async (user: string, event: "C" | "D") =>
      (await lab.hook.calls()).map(({ environment }) => environment).filter((told) => of(told, user, event)),
    called: (user: string, event: "C" | "D", count: number) =>
      lab.hook.called(({ environment }: HookCall) => of(environment, user, event), { count }),
  };
}

const of = (told: Record<string, string>, user: string, event: string) =>
  told.VPN_USER_ID === user && told.VPN_EVENT === event;

test("a device goes from its file to its end: hooks before peer, kills, restarts, expiry, and every way out", async () => {
  const wg = interfaceName();
  const hookBody = `
[ "$VPN_EVENT" = C ] && wg show ${wg} peers > "$(dirname "$0")/peers-$VPN_SESSION_ID"
[ "$VPN_EVENT$VPN_USER_ID" = Cvetoed ] && exit 1
exit 0`;
  const profile = managed("mobile", wg, 51_820, 0, { presharedKeys: true, maxDevices: 40 });
  await using lab = await openLab({ hookBody, config: { profiles: [profile] } });
  const { peers, issue, configs, open, log, told, called } = asked(lab);
  await lab.daemon.start();
  for (const user of ["alice", "bob", "carol", "dora", "vetoed"]) await lab.succeed(["user", "add", user]);

  // The hook is asked, then the peer is there, then the file is handed out; traffic of both families flows.
  const text = await issue("alice", "mobile");
  const { interface: mine, peer } = readConf(text);
  expect(mine).toMatchObject({ Address: "10.43.0.2/24, fd43::2/64" });
  expect(peer).toMatchObject({ Endpoint: "198.18.0.1:51820", AllowedIPs: "10.43.0.0/24, fd43::/64, 10.99.0.0/16" });
  const client = await startWireGuardClient(lab.network, lab.directory, text);
  const [first] = await open("alice");
  const [device] = await configs("alice");
  const [begun] = await told("alice", "C");
  expect(begun).toMatchObject({
    VPN_PROTO: "wireguard",
    VPN_TRIGGER: "config",
    VPN_CONNECTION_ID: device?.connectionId,
    VPN_SESSION_ID: first?.id,
    VPN_IP_FOUR: "10.43.0.2",
    VPN_IP_SIX: "fd43::2",
  });
  expect(begun).not.toHaveProperty("VPN_ORIGINATING_IP");
  const seenByHook = await execute("cat", [join(lab.directory, "hook", `peers-${first?.id}`)]);
  expect(seenByHook.stdout).toBe("");
  expect(await peers(wg)).toEqual([device?.connectionId]);
  await until("traffic", () => client.ping("10.43.0.1"));
  expect(await client.ping("fd43::1")).toBe(true);
  expect(await client.ping("10.99.0.1", 5)).toBe(true);

  // A veto leaves nothing, and is explained.
  const held = await heldAddresses(lab.dataDirectory);
  const refused = await lab.sallyport(["client-config", "issue", "--user", "vetoed", "--profile", "mobile"]);
  expect(refused).toMatchObject({ status: 1, stdout: "" });
  expect(refused.stderr).toMatch(/^sallyport: hook-refused: .*sallyport explain/);
  expect(await peers(wg)).toEqual([device?.connectionId]);
  expect(await configs("vetoed")).toEqual([]);
  expect(await heldAddresses(lab.dataDirectory)).toEqual(held);
  expect(await lab.succeed(["explain", "--user", "vetoed", "--last"])).toContain("hook-refused");
  await called("vetoed", "D", 1);

  // Killed, alone and with wireguard-go: the connection goes on, and nobody is asked.
  await lab.daemon.kill();
  expect(await client.ping("10.43.0.1")).toBe(true);
  await lab.daemon.start();
  expect(await client.ping("10.43.0.1")).toBe(true);
  await lab.daemon.kill();
  for (const pid of await lab.network.processesIn(lab.network.server)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself meanwhile.
    }
  }
  await lab.daemon.start();
  await client.use(text);
  await until("traffic again", () => client.ping("10.43.0.1"));
  expect((await open("alice")).map(({ id }) => id)).toEqual([first?.id]);
  expect(await told("alice", "C")).toHaveLength(1);

  // SIGTERM ends it, with its bytes; the next start asks about it again, and its address is the same.
  expect(await lab.daemon.stop()).toBe(0);
  await lab.daemon.start();
  const [ended] = (await called("alice", "D", 1)).map(({ environment }) => environment);
  expect(ended).toMatchObject({ VPN_DISCONNECT_REASON: "shutdown", VPN_CONNECTION_ID: device?.connectionId });
  expect(Number(ended?.VPN_BYTES_IN)).toBeGreaterThan(500);
  expect(Number(ended?.VPN_BYTES_OUT)).toBeGreaterThan(500);
  await called("alice", "C", 2);
  await client.use(text);
  await until("traffic after the restart", () => client.ping("fd43::1"));
  expect((await told("alice", "C"))[1]).toMatchObject({ VPN_IP_FOUR: "10.43.0.2", VPN_IP_SIX: "fd43::2" });

  // Disabled and enabled; killed, and let in again.
  await lab.succeed(["user", "disable", "alice"]);
  await called("alice", "D", 2);
  expect((await told("alice", "D"))[1]).toMatchObject({ VPN_DISCONNECT_REASON: "disabled" });
  expect(await peers(wg)).toEqual([]);
  await lab.succeed(["user", "enable", "alice"]);
  expect(await peers(wg)).toEqual([device?.connectionId]);
  const [third] = await open("alice");
  await lab.succeed(["connection", "kill", third?.id ?? ""]);
  expect(await peers(wg)).toEqual([]);
  expect((await log("alice"))[0]).toMatchObject({ endReason: "admin" });
  await lab.succeed(["client-config", "admit", device?.id ?? ""]);
  expect(await peers(wg)).toEqual([device?.connectionId]);
  await client.use(text);
  await until("traffic once more", () => client.ping("10.43.0.1"));

  // A key of the device's own: the file has no private key; issued again it is replaced, with its bytes.
  const own = newKeyPair();
  const bobs = await issue("bob", "mobile", "--public-key", own.publicKey);
  expect(bobs).not.toMatch(/^PrivateKey/m);
  const second = await startWireGuardClient(lab.network, lab.directory, bobs, own.privateKey.reveal());
  await until("bob's traffic", () => second.ping("10.43.0.1", 3));
  const again = await issue("bob", "mobile", "--public-key", own.publicKey);
  expect(readConf(again).interface.Address).not.toBe(readConf(bobs).interface.Address);
  expect((await configs("bob")).map(({ endReason }) => endReason)).toEqual(["replaced", undefined]);
  await called("bob", "D", 1);
  const [replaced] = await told("bob", "D");
  expect(replaced).toMatchObject({ VPN_DISCONNECT_REASON: "replaced" });
  expect(Number(replaced?.VPN_BYTES_IN)).toBeGreaterThan(200);
  expect((await open("bob")).map(({ connectionId }) => connectionId)).toEqual([own.publicKey]);
  await second.use(again);
  await until("bob's traffic again", () => second.ping("10.43.0.1"));
  const foreign = await lab.sallyport([
    ...["client-config", "issue", "--user", "carol", "--profile", "mobile", "--public-key", own.publicKey],
  ]);
  expect(foreign.stderr).toContain("conflict");

  // Expiry, revocation, deletion: each ends it, and frees its addresses.
  await lab.succeed(["property", "set", "--user", "carol", "wireguard_expire", "2"]);
  await issue("carol", "mobile");
  await called("carol", "D", 1);
  expect((await told("carol", "D"))[0]).toMatchObject({ VPN_DISCONNECT_REASON: "expired" });
  await lab.succeed(["client-config", "revoke", device?.id ?? ""]);
  await called("alice", "D", 4);
  expect((await told("alice", "D"))[3]).toMatchObject({ VPN_DISCONNECT_REASON: "disabled" });
  await lab.succeed(["user", "delete", "bob"]);
  await until("every address to be free", async () => (await heldAddresses(lab.dataDirectory)).length === 0);
  expect(await peers(wg)).toEqual([]);

  // 64 at once: no address twice, and the 41st device is one too many.
  const call = (userId: string) =>
    callDaemon({
      dataDirectory: lab.dataDirectory,
      command: "client-config-issue",
      input: { userId, profileId: "mobile" },
      deadlineMs: 60_000,
    }).then(
      (made) => readConf((made as { file: string }).file).interface.Address ?? "",
      (error: { code?: string; message: string }) => `${error.code} ${error.message}`,
    );
  const addresses = await Promise.all(Array.from({ length: 64 }, (_, i) => call(i % 2 === 0 ? "dora" : "vera")));
  expect(addresses.filter((address) => !address.startsWith("10.43.0."))).toEqual([]);
  expect(new Set(addresses).size).toBe(64);
  expect((await peers(wg)).length).toBe(64);
  const more = await Promise.all(Array.from({ length: 12 }, () => call("dora")));
  expect(more.filter((answer) => answer.includes("too-many-devices"))).toHaveLength(4);
  expect((await peers(wg)).length).toBe(72);
  await Promise.all([client.stop(), second.stop()]);
});

test("devices connect by their handshakes, and beside a stranger's peers on an interface that is not ours", async () => {
  const [knock, theirs] = [interfaceName(), interfaceName()];
  const profiles = [
    managed("knock", knock, 51_821, 1, { trigger: "handshake" }),
    { id: "theirs", wireguard: { attach: theirs }, ranges: { ipv4: "10.43.2.0/24" } },
  ];
  await using lab = await openLab({ config: { profiles } });
  const { onServer, peers, issue, configs, open, log, told, called } = asked(lab);
  const stranger = newKeyPair();
  const foreign = await startChild(inside(lab.network.server, ["wireguard-go", "-f", theirs]));
  await until("the stranger's interface", () => onServer("wg", "show", theirs).then(Boolean, () => false));
  const keyFile = join(lab.directory, "theirs.key");
  await writeFile(keyFile, newKeyPair().privateKey.reveal());
  await onServer("wg", "set", theirs, "private-key", keyFile, "listen-port", "51822");
  await onServer("wg", "set", theirs, "peer", stranger.publicKey, "allowed-ips", "10.43.3.2/32");
  await onServer("ip", "address", "add", "10.43.2.1/23", "dev", theirs);
  await onServer("ip", "link", "set", theirs, "up");
  await lab.daemon.start();
  for (const user of ["alice", "bob"]) await lab.succeed(["user", "add", user]);

  // By handshake: a file first, a connection when the device is there.
  const text = await issue("alice", "knock");
  expect(readConf(text).peer.PersistentKeepalive).toBe("25");
  expect(await open("alice")).toEqual([]);
  expect(await peers(knock)).toEqual([]);
  const client = await startWireGuardClient(lab.network, lab.directory, text);
  await until("the handshake to connect", () => client.ping("10.43.1.1"));
  const [begun] = await told("alice", "C");
  expect(begun).toMatchObject({ VPN_TRIGGER: "handshake", VPN_IP_FOUR: "10.43.1.2" });
  const [row] = await open("alice");
  await lab.succeed(["connection", "kill", row?.id ?? ""]);
  expect((await log("alice"))[0]).toMatchObject({ endReason: "admin" });
  expect(await onServer("wg", "show", knock, "peers")).toBe("");
  const [device] = await configs("alice");
  await lab.succeed(["client-config", "admit", device?.id ?? ""]);
  await client.use(text);
  await until("the device to come back", () => client.ping("10.43.1.1"), { deadlineMs: 60_000 });
  expect(await told("alice", "C")).toHaveLength(2);
  await lab.succeed(["client-config", "revoke", device?.id ?? ""]);
  expect(await onServer("wg", "show", knock, "peers")).toBe("");

  // Beside a stranger.
  const bobs = await issue("bob", "theirs");
  expect(readConf(bobs).peer.Endpoint).toBe("198.18.0.1:51822");
  const second = await startWireGuardClient(lab.network, lab.directory, bobs);
  await until("traffic beside the stranger", () => second.ping("10.43.2.1"));
  expect((await peers(theirs)).toSorted()).toEqual(
    [stranger.publicKey, (await configs("bob"))[0]?.connectionId ?? ""].toSorted(),
  );
  expect(await lab.succeed(["doctor"]).catch(String)).toContain("1 peers of others");
  expect(await lab.daemon.stop()).toBe(0);
  await called("bob", "D", 1);
  expect(await peers(theirs)).toEqual([stranger.publicKey]);
  await Promise.all([client.stop(), second.stop(), foreign.end("SIGTERM")]);
});
