import { expect, test } from "vitest";
import { until } from "../../waiting.ts";
import { admissionOf, admitEverybody, type DriverLab, type Life, openDriverLab } from "./lab.ts";

// A client otherwise waits for a minute before it believes that the server is gone; one that is idle hears of it every
// ten seconds.
const impatient = { extra: ["--pull-filter", "ignore", "ping", "--ping", "5", "--ping-restart", "20"] };

async function withTwoClients(lab: DriverLab, life: Life, options: object = {}) {
  admitEverybody(life);
  await life.driver.start(life.told.events);
  const [alice, bob] = [await lab.client("alice", options), await lab.client("bob", options)];
  await alice.connected();
  await bob.connected();
  await life.told.nthEstablished(2);
  return { alice, bob };
}

test("a daemon that outlived us is adopted: tunnels stay up and are reported with fresh keys", async () => {
  await using lab = await openDriverLab();
  const before = lab.life();
  const { alice, bob } = await withTwoClients(lab, before);
  await before.driver.stop("leave");
  expect(before.told.gone).toEqual([]);
  const [server] = await lab.servers();

  await bob.stop();
  const after = lab.life();
  await after.driver.start(after.told.events);
  expect(await lab.servers()).toEqual([server]);
  const [attached] = after.told.attached;
  expect(attached?.sameDaemon).toBe(true);
  const mine = attached?.tunnels.find((tunnel) => tunnel.commonName === "alice");
  expect(mine).toMatchObject({ ipv4: "10.42.0.2", ipv6: "fd42:1::2" });
  expect(mine?.bytesIn).toBeGreaterThan(0);
  expect(before.told.established.map((tunnel) => tunnel.key)).not.toContain(mine?.tunnel.key);
  expect(await alice.ping("10.42.0.1")).toBe(true);
  expect(alice.timesConnected()).toBe(1);
  if (mine === undefined) throw new Error("alice was not reported");

  await after.driver.disconnect(mine.tunnel, { mayReturn: false, clientReason: null });
  const gone = await after.told.goneOf(mine.tunnel);
  expect(gone.counts?.bytesIn).toBeGreaterThan(mine.bytesIn);
  expect(after.told.asked).toEqual([]);
});

test("whoever was still being asked when we died is told to come back, and is asked again", async () => {
  await using lab = await openDriverLab();
  const before = lab.life();
  await before.driver.start(before.told.events);
  const client = await lab.client("alice");
  await before.told.nthAsked(1);
  await before.driver.stop("leave");

  const after = lab.life();
  admitEverybody(after);
  await after.driver.start(after.told.events);
  expect(after.told.attached[0]?.tunnels).toEqual([]);
  await client.connected();
  expect(client.log()).toContain("The VPN is restarting.");
  expect(after.told.asked.length).toBe(1);
});

test("a daemon with another configuration is ended and a new one started", async () => {
  await using lab = await openDriverLab();
  const before = lab.life();
  await before.driver.start(before.told.events);
  await before.driver.stop("leave");
  const [old] = await lab.servers();

  const after = lab.life({ renegotiateSeconds: 1_800 });
  await after.driver.start(after.told.events);
  expect(after.told.attached).toMatchObject([{ sameDaemon: false, tunnels: [] }]);
  const running = await lab.servers();
  expect(running.length).toBe(1);
  expect(running[0]?.pid).not.toBe(old?.pid);
});

test("when openvpn is killed every tunnel is gone, and a new daemon takes the clients back", async () => {
  await using lab = await openDriverLab();
  const life = lab.life();
  const { alice, bob } = await withTwoClients(lab, life, impatient);
  const { told } = life;
  const waiting = await lab.client("carol", { ...impatient, user: "carol" });
  const [server] = await lab.servers();
  await told.nthAsked(3);
  process.kill(server?.pid ?? 0, "SIGKILL");

  for (const { tunnel } of told.asked.slice(0, 3)) expect((await told.goneOf(tunnel)).counts).toBe(null);
  const attached = await told.nthAttached(2);
  expect(attached).toMatchObject({ sameDaemon: false, tunnels: [] });
  expect(told.order.indexOf("attached 0", 1)).toBeGreaterThan(
    told.order.findLastIndex((one) => one.startsWith("gone")) - 3,
  );
  const comeBack = [alice, bob].map((client) => ({ client, times: 2 }));
  for (const { client, times } of [...comeBack, { client: waiting, times: 1 }])
    await until("a client to be back", () => client.timesConnected() >= times, {
      deadlineMs: 90_000,
      otherwise: client.log,
    });
  expect(new Set(told.asked.map(({ tunnel }) => tunnel.key)).size).toBe(told.asked.length);
});

test.each(["SIGUSR1", "SIGHUP"] as const)(
  "when openvpn restarts itself (%s) its numbers begin again, and nobody is mistaken",
  async (signal) => {
    await using lab = await openDriverLab();
    const life = lab.life();
    const { alice } = await withTwoClients(lab, life, impatient);
    const { told } = life;
    const [server] = await lab.servers();
    process.kill(server?.pid ?? 0, signal);
    for (const { tunnel } of told.asked.slice(0, 2)) {
      expect((await told.goneOf(tunnel)).counts?.bytesIn).toBeGreaterThan(0);
    }
    await told.nthEstablished(4, 90_000);
    expect(new Set(told.asked.map(({ tunnel }) => tunnel.key)).size).toBe(told.asked.length);
    await until("alice to be back", () => alice.timesConnected() >= 2, { otherwise: alice.log });
    await until("packets to pass", () => alice.ping("10.42.0.1"));
    expect(await lab.servers()).toEqual([server]);
    expect(told.attached.length).toBe(1);
  },
);

test("ending the driver ends the daemon, with every count told", async () => {
  await using lab = await openDriverLab();
  const life = lab.life();
  await withTwoClients(lab, life);
  await life.driver.stop("end");
  expect(await lab.servers()).toEqual([]);
  const { told } = life;
  expect(told.gone.map(({ tunnel }) => tunnel.key).sort()).toEqual(told.asked.map(({ tunnel }) => tunnel.key).sort());
  for (const { counts } of told.gone) expect(counts?.bytesIn).toBeGreaterThan(0);
});

test("after a lost connection the same tunnels are reported anew, and what comes then is told once", async () => {
  await using lab = await openDriverLab({ proxy: true });
  const life = lab.life();
  const { alice, bob } = await withTwoClients(lab, life);
  const { driver, told } = life;
  // Somebody is in the middle of being asked.
  told.answer = () => undefined;
  const carol = await lab.client("carol");
  const { tunnel: unanswered } = await told.nthAsked(3);
  admitEverybodyLater(life);
  lab.cut();

  const attached = await told.nthAttached(2);
  expect(attached.sameDaemon).toBe(true);
  expect(attached.tunnels.map((tunnel) => tunnel.commonName).sort()).toEqual(["alice", "bob"]);
  await expect(driver.admit(unanswered, admissionOf(3))).rejects.toMatchObject({ code: "connection-ended" });
  await carol.connected();
  expect(alice.timesConnected()).toBe(1);
  expect(await alice.ping("10.42.0.1")).toBe(true);
  expect(told.gone).toEqual([]);

  await bob.stop();
  const mine = attached.tunnels.find((tunnel) => tunnel.commonName === "bob");
  if (mine === undefined) throw new Error("bob was not reported");
  expect((await told.goneOf(mine.tunnel)).counts?.bytesIn).toBeGreaterThan(0);
  expect(told.gone.length).toBe(1);
  expect(told.established.length).toBe(3);
});

/** As `admitEverybody`, with addresses that nobody has yet. */
function admitEverybodyLater({ driver, told }: Life): void {
  told.answer = (request) => void driver.admit(request.tunnel, admissionOf(9)).catch(() => undefined);
}

test("an openvpn that cannot start is reported with its last words and tried again, and start does not hang", async () => {
  await using lab = await openDriverLab();
  const life = lab.life({ device: "sp/no-such" });
  await life.driver.start(life.told.events);
  await life.told.nthAttached(2);
  const failed = life.log.lines.filter(({ level }) => level === "error").map(({ message }) => message);
  expect(failed).toContainEqual(expect.stringMatching(/openvpn ended; its log .* ends with: .*sp\/no-such/));
  // For `doctor`, while it is not attached once more.
  const failure = () => life.driver.listeners()[0]?.failure;
  await until("its last words", () => failure()?.includes("sp/no-such"));
  await life.driver.stop("end");
  expect(await lab.servers()).toEqual([]);
});

test("a program that is not there is reported, and start does not hang", async () => {
  await using lab = await openDriverLab();
  const life = lab.life({ program: "/no/such/openvpn" });
  await life.driver.start(life.told.events);
  expect(life.told.attached).toEqual([]);
  expect(JSON.stringify(life.log.lines)).toContain("openvpn could not be started");
  const answer = life.driver.admit({ profileId: "office", listener: "udp/1194", key: "x:0" }, admissionOf(1));
  await expect(answer).rejects.toMatchObject({ code: "connection-ended" });
  await life.driver.stop("end");
});
