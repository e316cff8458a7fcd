import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "../../../src/core/secret.ts";
import type { Device, PeerChange } from "../../../src/drivers/wireguard/device.ts";
import { createUapiDevice, socketOf } from "../../../src/drivers/wireguard/uapi-device.ts";
import { createWgDevice } from "../../../src/drivers/wireguard/wg-device.ts";
import { addressNumber, keyNumber } from "./arbitraries.ts";
import { openWireGuardLab, type WireGuardLab } from "./lab.ts";

/*
 * One suite for both ways to an interface, over a real wireguard-go: `wg` speaks to it as it does to the kernel. The
 * socket's directory is the same in every namespace, so that both are used from outside.
 */
let lab: WireGuardLab;
beforeAll(async () => {
  lab = await openWireGuardLab();
  await lab.foreignInterface();
});
afterAll(async () => await lab[Symbol.asyncDispose]());

describe.each<[string, () => Device]>([
  ["the socket", () => createUapiDevice({ socketPath: socketOf(lab.name) })],
  ["wg", () => createWgDevice({ name: lab.name, directory: lab.directory })],
])("%s", (_, open) => {
  const [one, two, three] = [1, 2, 3].map(keyNumber) as [string, string, string];
  const put = (publicKey: string, ...allowedIps: string[]): PeerChange => ({
    kind: "put",
    publicKey,
    presharedKey: null,
    allowedIps,
  });
  const clearAway = async (device: Device) => {
    const peers = [...(await device.read()).peers.keys()];
    await device.write({ peers: peers.map((publicKey) => ({ kind: "remove", publicKey })) });
  };

  test("what is written is read", async () => {
    const device = open();
    await clearAway(device);
    const presharedKey = new Secret(keyNumber(9));
    const endpoint = "198.18.0.9:40123";
    await device.write({
      privateKey: new Secret(keyNumber(7)),
      listenPort: 51_999,
      peers: [{ ...put(one, "10.0.0.1/32", "fd00::1/128"), presharedKey, endpoint } as PeerChange, put(two)],
    });
    const state = await device.read();
    expect([state.listenPort, state.peers.size]).toEqual([51_999, 2]);
    // A private key of Curve25519 has five bits that do not count.
    expect(state.privateKey?.reveal()).toMatch(/^[A-Za-z0-9+/]{43}=$/);
    expect(state.peers.get(one)).toMatchObject({ endpoint, lastHandshakeMs: null, bytesIn: 0 });
    expect(state.peers.get(one)?.presharedKey?.reveal()).toBe(presharedKey.reveal());
    expect(state.peers.get(one)?.allowedIps.toSorted()).toEqual(["10.0.0.1/32", "fd00::1/128"]);
    expect(state.peers.get(two)).toMatchObject({ presharedKey: null, endpoint: null, allowedIps: [] });
  });

  test("a put says exactly what a peer has, a clear takes all, a remove the peer; unknown ones stay unknown", async () => {
    const device = open();
    await clearAway(device);
    await device.write({ peers: [put(one, "10.0.0.1/32", "10.0.0.2/32"), put(two, "10.0.0.3/32")] });
    await device.write({
      peers: [put(one, "10.0.0.4/32"), { kind: "clear", publicKey: two }, { kind: "clear", publicKey: three }],
    });
    let { peers } = await device.read();
    expect([...peers.keys()].toSorted()).toEqual([one, two].toSorted());
    expect([peers.get(one)?.allowedIps, peers.get(two)?.allowedIps]).toEqual([["10.0.0.4/32"], []]);
    await device.write({ peers: [{ kind: "remove", publicKey: three }, { kind: "remove", publicKey: two }, put(one)] });
    ({ peers } = await device.read());
    expect([...peers.values()].map(({ publicKey, allowedIps }) => [publicKey, allowedIps])).toEqual([[one, []]]);
  });

  test("an address goes over within one write when it is taken away first", async () => {
    const device = open();
    await clearAway(device);
    await device.write({ peers: [put(one, "10.0.0.1/32")] });
    await device.write({ peers: [{ kind: "remove", publicKey: one }, put(two, "10.0.0.1/32")] });
    const { peers } = await device.read();
    expect([...peers.values()].map(({ publicKey, allowedIps }) => [publicKey, allowedIps])).toEqual([
      [two, ["10.0.0.1/32"]],
    ]);
  });

  test("a thousand peers go in and out", async () => {
    const device = open();
    const peers = Array.from({ length: 1_001 }, (_, index) => put(keyNumber(index), addressNumber(index)));
    await device.write({ peers });
    expect((await device.read()).peers.size).toBe(1_001);
    await clearAway(device);
    expect((await device.read()).peers.size).toBe(0);
  });

  test("an interface that is not there is said to be so", async () => {
    const missing = {
      socket: createUapiDevice({ socketPath: socketOf(`${lab.name}x`) }),
      wg: createWgDevice({ name: `${lab.name}x`, directory: lab.directory }),
    };
    for (const device of Object.values(missing))
      await expect(device.read()).rejects.toMatchObject({ code: "driver-failed" });
  });
});
