import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Peers } from "../../../src/drivers/wireguard/peers.ts";
import type { ExpectedPeer, WireGuardInterface } from "../../../src/drivers/wireguard/wireguard-driver.ts";
import { keepingLog } from "../openvpn/keeping-log.ts";
import { createRecorder } from "../openvpn/recorder.ts";
import { addressNumber, keyNumber } from "./arbitraries.ts";
import { createModelDevice, type ModelDevice } from "./model-device.ts";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "peers-"));
});
afterAll(async () => await rm(home, { recursive: true, force: true }));

let lives = 0;

/** The peers of one interface, with what the ledger lists in `ledger`. */
async function openPeers(changes: Partial<WireGuardInterface> = {}, device: ModelDevice = createModelDevice()) {
  lives += 1;
  const told = createRecorder();
  const log = keepingLog();
  const ledger = new Map<string, ExpectedPeer>();
  const ours = new Set<string>();
  const settings: WireGuardInterface = {
    profileId: "mobile",
    interface: "wg0",
    directory: await mkdtemp(join(home, `life-${lives}-`)),
    mode: { kind: "attach" },
    trigger: "config",
    silenceMs: 180_000,
    askAgainMs: 0,
    ...changes,
  };
  const open = () =>
    new Peers({
      settings,
      expected: async () => [...ledger.values()],
      isOurs: async (_, key) => ours.has(key),
      isAsking: () => false,
      events: told.events,
      log,
    });
  return { peers: open(), open, device, told, log, ledger, ours, order: device.order };
}

const peer = (number: number, address = number): ExpectedPeer => ({
  publicKey: keyNumber(number),
  presharedKey: null,
  allowedIps: [addressNumber(address)],
});
const [one, two] = [peer(1), peer(2)];

test("who leaves is closed, then read, then removed, and only then told gone with what was read", async () => {
  const { peers, device, told, order } = await openPeers({ mode: managed() });
  await peers.attach(device, "first");
  await peers.admit(one);
  expect(told.established.map(({ key }) => key)).toEqual([one.publicKey]);
  device.pass(one.publicKey, 10);
  order.length = 0;
  const write = device.write;
  device.write = async (change) => {
    await write(change);
    // What comes after the first write does not pass any more.
    device.pass(one.publicKey, 1_000_000);
  };
  await peers.disconnect(one.publicKey);
  expect(order).toEqual(["write", "read", "write"]);
  expect(device.writes.slice(-2).map(({ peers }) => peers)).toEqual([
    [{ kind: "clear", publicKey: one.publicKey }],
    [{ kind: "remove", publicKey: one.publicKey }],
  ]);
  expect(told.gone).toEqual([{ tunnel: told.established[0], counts: { bytesIn: 10, bytesOut: 20 } }]);
  expect(device.peers.size).toBe(0);
});

test("an address that is somebody's is not given to another, on any kind of interface", async () => {
  for (const mode of [managed(), { kind: "attach" as const }]) {
    const { peers, device } = await openPeers({ mode });
    device.peers.set(two.publicKey, foreignPeer(2));
    await peers.attach(device, "first");
    if (mode.kind === "managed") await peers.admit(two);
    await expect(peers.admit(peer(1, 2))).rejects.toMatchObject({ code: "driver-failed" });
    expect(device.peers.get(two.publicKey)?.allowedIps).toEqual([addressNumber(2)]);
    await peers.admit(one);
    expect(device.peers.size).toBe(2);
  }
});

test("what waits while the interface is busy goes there together", async () => {
  const { peers, device } = await openPeers({ mode: managed() });
  await peers.attach(device, "first");
  const before = device.writes.length;
  await Promise.all(Array.from({ length: 100 }, (_, index) => peers.admit(peer(index))));
  expect(device.peers.size).toBe(100);
  expect(device.writes.length - before).toBeLessThanOrEqual(2);
  await Promise.all([peers.disconnect(keyNumber(5)), peers.admit(peer(200, 5)).catch(() => undefined)]);
  expect(device.peers.get(keyNumber(200))?.allowedIps).toEqual([addressNumber(5)]);
});

test("who was just told gone does not come back while the ledger still lists them, and does when let in again", async () => {
  const { peers, device, ledger, told } = await openPeers({ mode: managed() });
  await peers.attach(device, "first");
  await peers.admit(one);
  ledger.set(one.publicKey, one);
  await peers.disconnect(one.publicKey);
  await peers.synchronise();
  expect(device.peers.size).toBe(0);
  await peers.admit(one);
  await peers.synchronise();
  expect(device.peers.size).toBe(1);
  expect(told.gone.length).toBe(1);
});

test("peers that are right are not written again", async () => {
  const { peers, device, ledger } = await openPeers({ mode: managed() });
  for (let number = 0; number < 20; number++) ledger.set(keyNumber(number), peer(number));
  await peers.attach(device, "first");
  expect(device.writes.length).toBe(1);
  await peers.synchronise();
  expect(device.writes.length).toBe(1);
  ledger.set(one.publicKey, { ...one, allowedIps: [addressNumber(100)] });
  await peers.synchronise();
  expect(device.writes.at(-1)?.peers?.map(({ publicKey }) => publicKey)).toEqual([one.publicKey]);
});

test("two peers can change their addresses with one another", async () => {
  const { peers, device, ledger, told } = await openPeers({ mode: managed() });
  for (const each of [one, two]) ledger.set(each.publicKey, each);
  await peers.attach(device, "first");
  ledger.set(one.publicKey, peer(1, 2));
  ledger.set(two.publicKey, peer(2, 1));
  await peers.synchronise();
  expect(device.peers.get(one.publicKey)?.allowedIps).toEqual([addressNumber(2)]);
  expect(device.peers.get(two.publicKey)?.allowedIps).toEqual([addressNumber(1)]);
  expect(told.gone).toEqual([]);
});

test("a malformed peer keeps nobody else away", async () => {
  const { peers, device, ledger, log } = await openPeers({ mode: managed() });
  ledger.set("x", { ...one, publicKey: "x\nremove=true" });
  ledger.set("y", { ...peer(3), allowedIps: ["10.0.0.1/32\n\nset=1"] });
  ledger.set(two.publicKey, two);
  await peers.attach(device, "first");
  expect([...device.peers.keys()]).toEqual([two.publicKey]);
  expect(log.lines.some(({ message }) => message.includes("malformed"))).toBe(true);
});

test("an interface made anew has everybody again, and counting goes on", async () => {
  const { peers, device, ledger, told } = await openPeers({ mode: managed() });
  ledger.set(one.publicKey, one);
  await peers.attach(device, "first");
  device.pass(one.publicKey, 100);
  await peers.look(true);
  peers.detach(true);
  const anew = createModelDevice();
  await peers.attach(anew, "second");
  expect(told.attached.at(-1)).toMatchObject({ sameDaemon: false, tunnels: [{ bytesIn: 100 }] });
  anew.pass(one.publicKey, 5);
  expect((await peers.look(true))?.traffic).toMatchObject([{ bytesIn: 105, bytesOut: 210 }]);
  await peers.end();
  expect(told.gone).toMatchObject([{ counts: { bytesIn: 105 } }]);
});

test("after our own end counting goes on, on the same interface and on another", async () => {
  const { peers, open, device, ledger, told } = await openPeers({ mode: managed() });
  ledger.set(one.publicKey, one);
  await peers.attach(device, "first");
  device.pass(one.publicKey, 100);
  const anew = createModelDevice();
  await peers.look(true);
  await peers.attach(anew, "second");
  anew.pass(one.publicKey, 10);
  await peers.leave();
  const next = open();
  anew.pass(one.publicKey, 1);
  await next.attach(anew, "second");
  expect(told.attached.at(-1)).toMatchObject({ sameDaemon: true, tunnels: [{ bytesIn: 111 }] });
  await next.leave();
  ledger.set(one.publicKey, { ...one, counts: { bytesIn: 107, bytesOut: 214 } });
  const another = createModelDevice();
  await open().attach(another, "third");
  expect(told.attached.at(-1)).toMatchObject({ sameDaemon: false, tunnels: [{ bytesIn: 107 }] });
});

test("while it is known that there is no interface whoever leaves is gone; otherwise nobody knows, and it is an error", async () => {
  const { peers, device, told, ledger } = await openPeers({ mode: managed() });
  ledger.set(one.publicKey, one);
  await peers.attach(device, "first");
  peers.detach(false);
  await expect(peers.disconnect(one.publicKey)).rejects.toMatchObject({ code: "driver-failed" });
  expect(told.gone).toEqual([]);
  peers.detach(true);
  await expect(peers.admit(two)).rejects.toMatchObject({ code: "driver-failed" });
  await peers.disconnect(one.publicKey);
  expect(told.gone.length).toBe(1);
});

test("of a write that failed half-way everything of ours is found again", async () => {
  const { peers, device, told } = await openPeers({ mode: { kind: "attach" } });
  await peers.attach(device, "first");
  device.failNext = 1;
  const answers = await Promise.allSettled([peers.admit(one), peers.admit(two)]);
  expect(answers.map(({ status }) => status)).toContain("rejected");
  await Promise.all([peers.disconnect(one.publicKey), peers.disconnect(two.publicKey)]);
  expect(device.peers.size).toBe(0);
  expect(told.gone.length).toBe(2);
});

test("a peer of somebody else's is never removed, also where it is asked for", async () => {
  const { peers, device, ledger } = await openPeers({ mode: { kind: "attach" } });
  device.peers.set(two.publicKey, foreignPeer(2));
  await peers.attach(device, "first");
  expect(peers.isForeign(two.publicKey)).toBe(true);
  await peers.disconnect(two.publicKey);
  ledger.set(two.publicKey, peer(2, 7));
  await peers.synchronise();
  await expect(peers.admit(peer(2, 7))).rejects.toMatchObject({ code: "driver-failed" });
  await peers.end();
  expect([...device.peers.values()]).toEqual([foreignPeer(2)]);
});

test("one whose address somebody else's peer has is left out and named, and the others come", async () => {
  const { peers, device, ledger, log, told } = await openPeers({ mode: { kind: "attach" } });
  device.peers.set(keyNumber(99), foreignPeer(4));
  ledger.set(one.publicKey, peer(1, 4));
  ledger.set(two.publicKey, two);
  await peers.attach(device, "first");
  expect([...device.peers.keys()].toSorted()).toEqual([two.publicKey, keyNumber(99)].toSorted());
  expect(device.peers.get(keyNumber(99))).toEqual(foreignPeer(4));
  expect(told.attached.at(-1)?.tunnels.map(({ tunnel }) => tunnel.key)).toEqual([two.publicKey]);
  expect(log.lines.find(({ level }) => level === "error")?.fields).toMatchObject({
    publicKey: one.publicKey,
    holder: keyNumber(99),
  });
});

test("by handshake: a peer stays and is closed, asks again only after a new handshake, and counts its own bytes alone", async () => {
  const { peers, device, ledger, told } = await openPeers({ mode: managed(), trigger: "handshake" });
  const closed = { ...one, allowedIps: [] };
  ledger.set(one.publicKey, closed);
  await peers.attach(device, "first");
  const there = () => device.peers.get(one.publicKey) as { lastHandshakeMs: number | null; bytesIn: number };
  there().lastHandshakeMs = Date.now();
  there().bytesIn = 92;
  expect((await peers.look(true))?.knocking).toMatchObject([{ tunnel: { key: one.publicKey } }]);
  expect((await peers.look(true))?.knocking).toEqual([]);
  await peers.admit(one);
  ledger.set(one.publicKey, one);
  device.pass(one.publicKey, 8);
  expect((await peers.look(true))?.traffic).toMatchObject([{ bytesIn: 8, bytesOut: 16 }]);
  await peers.disconnect(one.publicKey);
  ledger.set(one.publicKey, closed);
  expect(told.gone).toMatchObject([{ counts: { bytesIn: 8 } }]);
  expect(device.peers.get(one.publicKey)?.allowedIps).toEqual([]);
  expect((await peers.look(true))?.knocking).toEqual([]);
  there().lastHandshakeMs = Date.now() + 1;
  expect((await peers.look(true))?.knocking.length).toBe(1);
});

/** What might happen to five devices, as the lifecycle, the ledger and others would do it. */
const step = fc.record({
  what: fc.constantFrom("admit", "disconnect", "revoke", "synchronise", "look", "remade", "removed by hand", "pass"),
  device: fc.integer({ min: 1, max: 5 }),
  address: fc.integer({ min: 1, max: 4 }),
});

test("whatever happens: nobody steals an address, ends come once and with all bytes, and the interface is as the ledger says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.constantFrom("managed", "attach"), async (steps, kind) => {
      const life = await openPeers({ mode: kind === "managed" ? managed() : { kind: "attach" } });
      const { peers, ledger, told, ours } = life;
      let device = life.device;
      device.peers.set(keyNumber(99), foreignPeer(4));
      let making = 1;
      // On an interface of ours a stranger leaves at once, as one that nobody knows of.
      const passed = new Map([[keyNumber(99), 1]]);
      // The ledger's side of it: rows end when they are told gone.
      const { gone } = told.events;
      told.events.gone = (tunnel, counts) => {
        gone(tunnel, counts);
        ledger.delete(tunnel.key);
        if (counts !== null) assert.equal(counts.bytesIn, passed.get(tunnel.key) ?? 0);
        passed.delete(tunnel.key);
      };
      await peers.attach(device, `${making}`);
      const isFree = (address: number) =>
        ![...ledger.values()].some(({ allowedIps }) => allowedIps.includes(addressNumber(address)));
      for (const { what, device: number, address } of steps) {
        const publicKey = keyNumber(number);
        if (what === "admit" && !ledger.has(publicKey) && isFree(address)) {
          ours.add(publicKey);
          ledger.set(publicKey, peer(number, address));
          await peers.admit(peer(number, address)).catch(() => ledger.delete(publicKey));
        } else if (what === "disconnect") await peers.disconnect(publicKey);
        else if (what === "revoke") {
          ledger.delete(publicKey);
          await peers.synchronise();
        } else if (what === "synchronise") await peers.synchronise();
        else if (what === "look") await peers.look(true);
        else if (what === "removed by hand") {
          await peers.look(true);
          device.peers.delete(publicKey);
          await peers.synchronise();
        } else if (what === "pass" && device.peers.get(publicKey)?.allowedIps.length) {
          device.pass(publicKey, 7);
          passed.set(publicKey, (passed.get(publicKey) ?? 0) + 7);
        } else if (what === "remade") {
          await peers.look(true);
          peers.detach(true);
          device = createModelDevice();
          if (kind === "attach") device.peers.set(keyNumber(99), foreignPeer(4));
          making += 1;
          await peers.attach(device, `${making}`);
        }
        const there = [...device.peers.values()].filter((one) => one.publicKey !== keyNumber(99));
        assert.deepEqual(
          there.map((one) => [one.publicKey, ...one.allowedIps]).toSorted(),
          [...ledger.values()].map((one) => [one.publicKey, ...one.allowedIps]).toSorted(),
        );
        if (kind === "attach") assert.deepEqual(device.peers.get(keyNumber(99)), foreignPeer(4));
      }
    }),
    { numRuns: 150 },
  );
});

function managed(): WireGuardInterface["mode"] {
  return { kind: "managed", listenPort: 1, privateKey: undefined as never, addresses: [] };
}

function foreignPeer(number: number) {
  const publicKey = number === 4 ? keyNumber(99) : keyNumber(number);
  const seen = { endpoint: null, lastHandshakeMs: null, bytesIn: 1, bytesOut: 2 };
  return { publicKey, presharedKey: null, allowedIps: [addressNumber(number)], ...seen };
}
