import { expect, test } from "vitest";
import { until } from "../../e2e/lab/waiting.ts";
import { type Device, openWireGuardLab, SERVER_SIX, type Told } from "./lab.ts";

/** One that was refused its handshakes tries again only after seconds: it begins anew. */
async function comesThrough(device: Device): Promise<void> {
  await device.again();
  await until("packets to pass", () => device.ping());
}

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
  const handshake = await lab.wg("show", lab.name, "latest-handshakes");
  await life.host.kill();
  const next = await lab.life();
  await next.start();
  expect(next.told("attached")).toMatchObject([
    {
      sameDaemon: true,
      tunnels: [{ commonName: alice.publicKey, ipv4: alice.four, ipv6: alice.six }, { commonName: bob.publicKey }],
    },
  ]);
  expect(next.told("gone")).toEqual([]);
  const flowed = await settle();
  expect(flowed.received).toBe(flowed.sent);
  expect(await lab.wg("show", lab.name, "latest-handshakes")).toBe(handshake);

  // wireguard-go is killed: its successor has the same peers, and counting goes on.
  const pid = (await lab.pidOfWireGuardGo()) as number;
  const before = await until("the last counts", () => {
    const last = next.told("traffic").flatMap(({ counts }) => counts as { tunnel: { key: string }; bytesIn: number }[]);
    return last.findLast(({ tunnel }) => tunnel.key === alice.publicKey);
  });
  process.kill(pid, "SIGKILL");
  const again = await next.next("attached", 2);
  expect(again).toMatchObject({
    sameDaemon: false,
    tunnels: [{ commonName: alice.publicKey, bytesIn: before.bytesIn }, {}],
  });
  expect(next.told("gone")).toEqual([]);
  await comesThrough(alice);

  // Who leaves is counted, and the address is another's at once.
  await next.host.call("disconnect", alice.tunnel);
  await lab.ledger([bob.row]);
  const [gone] = next.told("gone");
  expect(gone).toMatchObject({ key: alice.publicKey });
  expect(countsIn(gone as Told["fields"])?.bytesIn).toBeGreaterThan(before.bytesIn);
  expect(await lab.wg("show", lab.name, "peers")).toBe(`${bob.publicKey}\n`);
  expect(await alice.ping()).toBe(false);

  await next.stop("end");
  expect(next.told("gone")).toMatchObject([{ key: alice.publicKey }, { key: bob.publicKey }]);
  expect(countsIn(next.told("gone")[1] as Told["fields"])?.bytesIn).toBeGreaterThan(0);
  expect(await lab.pidOfWireGuardGo()).toBe(undefined);
});
