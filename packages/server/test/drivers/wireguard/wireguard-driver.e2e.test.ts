import { expect, test } from "vitest";
import { startChild } from "../../e2e/lab/child.ts";
import { inside } from "../../e2e/lab/network.ts";
import { until } from "../../waiting.ts";
import { type Device, LISTEN_PORT, openWireGuardLab, SERVER_SIX, type Told } from "./lab.ts";

/** One that was refused its handshakes tries again only after seconds: it begins anew. */
async function comesThrough(device: Device): Promise<void> {
  await device.again();
  await until("packets to pass", () => device.knock());
}

const tunnelOf = ({ publicKey }: Device, attached: Told["fields"] | undefined) =>
  ((attached?.tunnels ?? []) as { commonName: string; bytesIn: number }[]).find(
    ({ commonName }) => commonName === publicKey,
  );
const countsIn = (told: Told["fields"]) => told.counts as { bytesIn: number; bytesOut: number } | null;

test("an interface of ours: who is let in passes, nobody else, and it outlives the daemon and wireguard-go", async () => {
  await using lab = await openWireGuardLab();
  const life = await lab.life();
  await life.start();
  expect(life.told("attached")).toMatchObject([{ listener: lab.name, sameDaemon: false, tunnels: [] }]);
  const alice = await lab.device(1, { presharedKey: "c2FsbHlwb3J0LXNhbGx5cG9ydC1zYWxseXBvcnQtc2E=" });
  const bob = await lab.device(2);

  expect(await life.request(alice, "denied")).toMatchObject({ outcome: "refused", refusal: { clientReason: "No." } });
  expect(await life.request(alice, "questioned")).toMatchObject({ outcome: "challenged" });
  expect(await lab.wg("show", lab.name, "peers")).toBe("");
  expect(life.told("established")).toEqual([]);

  expect(await life.request(alice)).toMatchObject({
    outcome: "admitted",
    admission: { ipv4: { address: alice.four } },
  });
  await lab.ledger([alice.row]);
  expect(life.told("established")).toEqual([alice.tunnel]);
  await comesThrough(alice);
  expect(await alice.ping(SERVER_SIX)).toBe(true);
  await life.request(bob);
  await lab.ledger([alice.row, bob.row]);
  await comesThrough(bob);
  await life.next("traffic");
  await life.next("observed");

  // A thief is not let in, and takes nothing.
  await expect(life.request({ ...(await lab.device(3)), four: alice.four })).rejects.toMatchObject({
    code: "driver-failed",
  });
  expect(await alice.ping()).toBe(true);

  // The daemon is killed while packets flow, and the next one finds everything as it was.
  const settle = await alice.pingOn();
  const handshakes = async () => (await lab.wg("show", lab.name, "latest-handshakes")).split("\n").toSorted();
  const before = await handshakes();
  await life.host.kill();
  const next = await lab.life();
  await next.start();
  expect(next.told("attached")).toMatchObject([{ sameDaemon: true }]);
  expect(tunnelOf(alice, next.told("attached")[0])).toMatchObject({ ipv4: alice.four, ipv6: alice.six });
  expect(tunnelOf(bob, next.told("attached")[0])).toMatchObject({ ipv4: bob.four });
  expect(next.told("gone")).toEqual([]);
  expect(await settle()).toEqual([]);
  expect(await handshakes()).toEqual(before);

  // wireguard-go is killed: its successor has the same peers, and counting goes on.
  const pid = (await lab.pidOfWireGuardGo()) as number;
  const counted = await until("the last counts", () => {
    const last = next.told("traffic").flatMap(({ counts }) => counts as { tunnel: { key: string }; bytesIn: number }[]);
    return last.findLast(({ tunnel }) => tunnel.key === alice.publicKey);
  });
  process.kill(pid, "SIGKILL");
  const again = await next.next("attached", 2);
  expect(again).toMatchObject({ sameDaemon: false });
  expect(tunnelOf(alice, again)?.bytesIn).toBeGreaterThanOrEqual(counted.bytesIn);
  expect(next.told("gone")).toEqual([]);
  // Clients are called: they need not notice by themselves.
  await until("a handshake", async () => !(await lab.wg("show", lab.name, "latest-handshakes")).includes("\t0\n"));
  expect(await lab.wg("show", lab.name, "persistent-keepalive")).not.toMatch(/\d$/m);
  await until("packets to pass", () => alice.knock());

  // Who leaves is counted, and the address is another's at once.
  await next.host.call("disconnect", alice.tunnel);
  await lab.ledger([bob.row]);
  const [gone] = next.told("gone");
  expect(gone).toMatchObject({ key: alice.publicKey });
  expect(countsIn(gone as Told["fields"])?.bytesIn).toBeGreaterThan(counted.bytesIn);
  expect(await lab.wg("show", lab.name, "peers")).toBe(`${bob.publicKey}\n`);
  expect(await alice.ping()).toBe(false);

  await next.stop("end");
  expect(next.told("gone").map(({ key }) => key)).toEqual([alice.publicKey, bob.publicKey]);
  expect(countsIn(next.told("gone")[1] as Told["fields"])?.bytesIn).toBeGreaterThan(0);
  expect(await lab.pidOfWireGuardGo()).toBe(undefined);
});

test("an interface of somebody else's: its peers stay as they are, and one that is missing is waited for", async () => {
  await using lab = await openWireGuardLab();
  const life = await lab.life({ mode: { kind: "attach" } });
  await life.start();
  expect(await life.status()).toMatchObject({
    ours: false,
    state: "down",
    failure: expect.stringContaining("bring it up"),
  });
  const alice = await lab.device(1);
  await expect(life.request(alice)).rejects.toMatchObject({ code: "driver-failed" });

  const foreign = await lab.device(2);
  const theirs = ["peer", foreign.publicKey, "allowed-ips", `${foreign.four}/32`];
  await lab.foreignInterface();
  await lab.wg("set", lab.name, ...theirs);
  await life.next("attached");
  await until("the interface to be up", async () => (await life.status()).state === "up");
  expect(await life.status()).toMatchObject({ publicKey: lab.serverKeys.publicKey, peers: { ours: 0, foreign: 1 } });
  await comesThrough(foreign);

  await life.request(alice);
  await lab.ledger([alice.row]);
  await comesThrough(alice);
  // Neither the key nor the address of somebody else's peer can be had.
  await expect(life.request({ ...alice, ...keysOf(foreign) })).rejects.toMatchObject({ code: "conflict" });
  await expect(life.request({ ...(await lab.device(3)), four: foreign.four })).rejects.toMatchObject({
    code: "driver-failed",
  });
  await life.host.call("synchronise");
  const handshake = await handshakeOf(foreign.publicKey);

  // Its owner loads their own configuration again, which knows nothing of ours.
  await lab.wg("set", lab.name, "peer", alice.publicKey, "remove");
  await until("the peer to be back", async () => (await lab.wg("show", lab.name, "peers")).includes(alice.publicKey));
  await comesThrough(alice);

  await life.host.kill();
  await lab.ledger([], [alice.publicKey]);
  const next = await lab.life({ mode: { kind: "attach" } });
  await next.start();
  expect(next.told("attached")).toMatchObject([{ sameDaemon: true, tunnels: [{ commonName: alice.publicKey }] }]);
  expect(next.told("gone")).toMatchObject([{ key: alice.publicKey, counts: { bytesIn: expect.any(Number) } }]);
  expect(await lab.wg("show", lab.name, "peers")).toBe(`${foreign.publicKey}\n`);
  expect(await foreign.ping()).toBe(true);
  await next.stop("end");
  expect(await handshakeOf(foreign.publicKey)).toBe(handshake);
  expect(await foreign.ping()).toBe(true);

  async function handshakeOf(publicKey: string): Promise<string | undefined> {
    const lines = (await lab.wg("show", lab.name, "latest-handshakes")).split("\n");
    return lines.find((line) => line.startsWith(publicKey));
  }
});

test("by handshake: the first asks, silence ends, and the next one asks again", async () => {
  await using lab = await openWireGuardLab();
  const alice = await lab.device(1);
  const closed = { ...alice.row, allowedIps: [] };
  await lab.ledger([closed]);
  // A socket without a process, as a killed wireguard-go leaves it.
  await lab.staleSocket();
  // Longer than the next daemon takes to be there, on a busy machine too.
  const settings = { trigger: "handshake", silenceMs: 15_000 } as const;
  const life = await lab.life(settings);
  await life.start();
  expect(life.told("attached")).toMatchObject([{ tunnels: [] }]);
  expect(await alice.knock()).toBe(false);
  const seen = await life.next("shookHands");
  expect(seen).toMatchObject({ tunnel: alice.tunnel, endpoint: expect.stringContaining(alice.place.address) });

  await life.request(alice, "denied");
  expect(await lab.wg("show", lab.name, "allowed-ips")).toBe(`${alice.publicKey}\t(none)\n`);
  await alice.again();
  await alice.knock();
  await life.next("shookHands", 2);
  await life.request(alice);
  await lab.ledger([alice.row]);
  // The session that the handshake made carries at once.
  await until("packets to pass", () => alice.knock());

  // A killed daemon's successor counts on from where this connection began.
  await until("byte counts", () => life.told("traffic").length > 0);
  await life.host.kill();
  const next = await lab.life(settings);
  await next.start();
  const [attached] = next.told("attached") as { tunnels: { bytesIn: number }[] }[];
  const counted = await rawBytesIn();
  expect(attached?.tunnels[0]?.bytesIn).toBeLessThan(counted);
  expect(attached?.tunnels[0]?.bytesIn).toBeGreaterThan(0);

  // It falls silent.
  expect(await next.next("gone")).toMatchObject({ key: alice.publicKey, counts: { bytesIn: expect.any(Number) } });
  await lab.ledger([closed]);
  expect(await lab.wg("show", lab.name, "allowed-ips")).toBe(`${alice.publicKey}\t(none)\n`);
  await alice.again();
  await alice.knock();
  await next.next("shookHands");

  // Revoked: its peer goes, and nobody is asked about it any more.
  await lab.ledger([], [alice.publicKey]);
  await next.host.call("synchronise");
  expect(await lab.wg("show", lab.name, "peers")).toBe("");
  await next.stop("leave");
  expect(await lab.pidOfWireGuardGo()).toBeGreaterThan(0);

  async function rawBytesIn(): Promise<number> {
    return Number((await lab.wg("show", lab.name, "transfer")).split("\t")[1]);
  }
});

test("what stands in the way is said, and as soon as it is gone the interface comes up", async () => {
  await using lab = await openWireGuardLab();
  const port = await startChild(inside(lab.network.server, ["python3", "-c", holdPort, `${LISTEN_PORT}`]));
  await using _ = { [Symbol.asyncDispose]: () => port.end("SIGKILL") };
  await until("the port to be taken", () => port.output().includes("taken"));
  const life = await lab.life();
  await life.start();
  const failure = async () => (await life.status()).failure ?? "";
  expect(await failure()).toContain(`UDP port ${LISTEN_PORT} cannot be had`);
  expect(await lab.pidOfWireGuardGo()).toBe(undefined);

  await lab.run("ip", "link", "add", lab.name, "type", "bridge");
  await port.end("SIGKILL");
  await until("another complaint", async () => (await failure()).includes("WireGuard does not answer for"));
  await lab.run("ip", "link", "delete", lab.name);
  await life.next("attached");
  await until("the interface to be up", async () => (await life.status()).state === "up");

  // Another network namespace has the name.
  const elsewhere = await lab.network.client();
  const other = await lab.life({}, elsewhere);
  await other.start();
  expect((await other.status()).failure).toContain("another network namespace");
  await other.stop("end");
  expect((await life.status()).state).toBe("up");
  expect(await lab.wg("show", lab.name, "listen-port")).toBe(`${LISTEN_PORT}\n`);
  expect(life.host.logged.filter(({ level }) => level === "error").length).toBe(2);
});

const holdPort = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", int(sys.argv[1])))
print("taken", flush=True)
time.sleep(600)
`;

const keysOf = ({ publicKey, tunnel }: Device) => ({ publicKey, tunnel });
