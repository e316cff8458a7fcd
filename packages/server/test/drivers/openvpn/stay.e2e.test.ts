import { expect, test } from "vitest";
import { until } from "../../waiting.ts";
import { admissionOf, admitEverybody, openDriverLab } from "./lab.ts";

/** Keys are renegotiated often enough to be waited for. */
const soon = { renegotiateSeconds: 8 };

test("a client that may stay at a renegotiation stays, with the same tunnel", async () => {
  await using lab = await openDriverLab();
  const life = lab.life(soon);
  const { driver, told } = life;
  admitEverybody(life);
  await driver.start(told.events);
  const client = await lab.client("alice");
  await client.connected();
  const [first, second] = [await told.nthAsked(1), await told.nthAsked(2)];
  expect(second).toMatchObject({ kind: "reauth", tunnel: first.tunnel, username: "alice" });
  expect(second.password?.reveal()).toBe("password of alice");
  await told.nthAsked(3);
  // While a key is renegotiated, a tunnel this young (its first 60 s) drops packets.
  await until("packets to pass", () => client.ping("10.42.0.1"));
  expect(client.timesConnected()).toBe(1);
  expect(told.gone).toEqual([]);
});

test.each([true, false])("a client refused at a renegotiation is told and gone (wake-up: %s)", async (wakeUp) => {
  await using lab = await openDriverLab();
  const { driver, told } = lab.life({ ...soon, wakeUp });
  told.answer = (request) => {
    const admitted = request.kind === "connect";
    return admitted
      ? driver.admit(request.tunnel, admissionOf(1))
      : driver.refuse(request.tunnel, { kind: "reauth", reason: "no more", clientReason: "Your time is over." });
  };
  await driver.start(told.events);
  const client = await lab.client("alice", { extra: ["--auth-retry", "none"] });
  await client.connected();
  const { tunnel } = await told.nthAsked(1);
  const gone = await told.goneOf(tunnel);
  expect(gone.counts?.bytesIn).toBeGreaterThan(0);
  await client.sees(/Your time is over\./);
  expect(told.gone.length).toBe(1);
});

test("an ended tunnel is gone at once, with its counts, and its client is told whether to come back", async () => {
  await using lab = await openDriverLab();
  const life = lab.life();
  const { driver, told } = life;
  admitEverybody(life);
  await driver.start(told.events);

  const halted = await lab.client("alice");
  await halted.connected();
  expect(await halted.ping("10.42.0.1")).toBe(true);
  const { tunnel } = await told.nthAsked(1);
  await driver.disconnect(tunnel, { mayReturn: false, clientReason: 'Ended [by] "root"\n' });
  const gone = await told.goneOf(tunnel, 3_000);
  expect(gone.counts?.bytesIn).toBeGreaterThan(1_000);
  await halted.sees(/Halt command was pushed by server \('Ended \[by\] "root" '\)/);

  const restarted = await lab.client("bob");
  await restarted.connected();
  const second = await told.nthAsked(2);
  await driver.disconnect(second.tunnel, { mayReturn: true, clientReason: null });
  await told.goneOf(second.tunnel, 3_000);
  const third = await told.nthAsked(3, 40_000);
  expect(third.username).toBe("bob");
  expect(third.tunnel.key).not.toBe(second.tunnel.key);
  await expect(driver.disconnect(tunnel, { mayReturn: false, clientReason: null })).rejects.toMatchObject({
    code: "connection-ended",
  });
});

test("ending one of two tunnels with the same certificate leaves the other alone", async () => {
  await using lab = await openDriverLab();
  const life = lab.life();
  const { driver, told } = life;
  admitEverybody(life);
  await driver.start(told.events);
  const first = await lab.client("alice");
  await first.connected();
  const second = await lab.client("alice");
  await second.connected();
  const { tunnel } = await told.nthAsked(1);
  await driver.disconnect(tunnel, { mayReturn: false, clientReason: null });
  await told.goneOf(tunnel);
  expect(told.gone.length).toBe(1);
  expect(await second.ping("10.42.0.1")).toBe(true);
  expect(second.timesConnected()).toBe(1);
});

test("byte counts are told while a tunnel is up, and never exceed those of its end", async () => {
  await using lab = await openDriverLab();
  const life = lab.life();
  const { driver, told } = life;
  admitEverybody(life);
  await driver.start(told.events);
  const client = await lab.client("alice");
  await client.connected();
  const { tunnel } = await told.nthAsked(1);
  expect(await client.ping("10.42.0.1", { count: 10, bytes: 1_000 })).toBe(true);
  await client.stop();
  const gone = await told.goneOf(tunnel);
  const counted = told.traffic.filter((one) => one.tunnel.key === tunnel.key);
  expect(counted.length).toBeGreaterThan(0);
  for (const counts of counted) {
    expect(counts.bytesIn).toBeLessThanOrEqual(gone.counts?.bytesIn ?? 0);
    expect(counts.bytesOut).toBeLessThanOrEqual(gone.counts?.bytesOut ?? 0);
  }
});

test("an openvpn that is just being started when the driver is stopped does not stay behind", async () => {
  await using lab = await openDriverLab();
  for (const started of [
    async () => {},
    async () => await until("openvpn to run", async () => (await lab.servers()).length === 1),
  ]) {
    const { driver, told } = lab.life();
    const start = driver.start(told.events);
    await started();
    await driver.stop("end");
    await start;
    expect(await lab.servers()).toEqual([]);
  }
});
