import { expect, test } from "vitest";
import { until } from "../../waiting.ts";
import { asking, eventLines, openFakeOpenVpn } from "./fake-openvpn.ts";
import { admissionOf } from "./lab.ts";

test("a new connection is configured, held events come after the list, and only then is OpenVPN released", async () => {
  await using fake = await openFakeOpenVpn();
  const { driver, told } = fake.life({ pollIntervalMs: 5_000 });
  await driver.start(told.events);
  expect(fake.commands).toEqual(expect.arrayContaining(["state on", "hold off", "bytecount 5"]));
  expect(fake.commands.slice(-2)).toEqual(["status 3", "hold release"]);
  expect(told.order).toEqual(["attached 0"]);
});

test("what was said before the list is in the list, what comes after it is news", async () => {
  await using fake = await openFakeOpenVpn();
  fake.afterGreeting = [
    asking("CONNECT,1,1"),
    eventLines("ESTABLISHED,2"),
    asking("CONNECT,3,1"),
    eventLines("DISCONNECT,3"),
    asking("REAUTH,2,5", { common_name: "two" }),
    eventLines("DISCONNECT,4", { bytes_received: "1", bytes_sent: "1" }),
  ];
  fake.listed = ["1,laptop,192.0.2.7:40000,,", "2,two,192.0.2.8:40000,10.42.0.2,fd42:1::2"];
  const { driver, told } = fake.life();
  await driver.start(told.events);
  const two = told.attached[0]?.tunnels[0];
  expect(told.attached[0]?.tunnels).toMatchObject([{ commonName: "two", bytesIn: 102, bytesOut: 202 }]);
  await told.nthAsked(2);
  expect(told.asked.map(({ kind, tunnel }) => [kind, tunnel.key.split(":")[1]])).toEqual([
    ["connect", "1"],
    ["reauth", "2"],
  ]);
  expect(told.order.length).toBe(3);
  fake.say(eventLines("DISCONNECT,2", { bytes_received: "900", bytes_sent: "901" }));
  await until("the end of two", () => told.gone.length > 0);
  expect(told.gone).toEqual([{ tunnel: two?.tunnel, counts: { bytesIn: 900, bytesOut: 901 } }]);
  expect(fake.commands.filter((command) => command.startsWith("client-deny"))).toEqual([]);
});

test("whoever waits for an answer that nobody works on is sent back, whatever its key", async () => {
  await using fake = await openFakeOpenVpn();
  fake.listed = ["4,laptop,192.0.2.7:40000,,", "5,UNDEF,192.0.2.8:40000,,"];
  fake.reply = (command) => (command.startsWith("client-deny 4 1 ") ? "ERROR: client-deny command failed" : undefined);
  const { driver, told } = fake.life();
  await driver.start(told.events);
  const denials = fake.commands.filter((command) => command.startsWith("client-deny"));
  expect(denials).toEqual([
    'client-deny 4 1 "Sallyport attached anew" "TEMP[backoff 2]:The VPN is restarting. Please try again in a moment."',
    'client-deny 4 2 "Sallyport attached anew" "TEMP[backoff 2]:The VPN is restarting. Please try again in a moment."',
  ]);
  // It was told before the tunnels were reported.
  expect(fake.commands.indexOf(denials[1] ?? "")).toBeLessThan(fake.commands.indexOf("hold release"));
  fake.say(eventLines("DISCONNECT,4"));
  fake.say(asking("CONNECT,5,1"));
  await told.nthAsked(1);
  expect(told.gone).toEqual([]);
});

test("everything waits until the tunnels were taken over, and tunnels can be ended meanwhile", async () => {
  await using fake = await openFakeOpenVpn();
  fake.listed = ["2,two,192.0.2.8:40000,10.42.0.2,"];
  const { driver, told } = fake.life();
  const reconciled = Promise.withResolvers<void>();
  told.reconcile = async ({ tunnels }) => {
    for (const { tunnel } of tunnels) await driver.disconnect(tunnel, { mayReturn: true, clientReason: null });
    fake.say(asking("CONNECT,3,1"), eventLines("DISCONNECT,2", { bytes_received: "5", bytes_sent: "5" }));
    await reconciled.promise;
  };
  const start = driver.start(told.events);
  await fake.received(/^client-kill 2 /);
  await fake.received(/^kill two$/);
  expect(told.order).toEqual(["attached 1"]);
  reconciled.resolve();
  await start;
  await told.nthAsked(1);
  expect(told.gone.length).toBe(1);
});

test("a lost connection is made again: no end is told, tunnels are reported with new keys", async () => {
  await using fake = await openFakeOpenVpn();
  const { driver, told } = fake.life();
  await driver.start(told.events);
  fake.say(asking("CONNECT,0,1", { common_name: "one" }), asking("CONNECT,1,2"));
  const [first, second] = [await told.nthAsked(1), await told.nthAsked(2)];
  await driver.admit(first.tunnel, admissionOf(1));
  fake.say(eventLines("ESTABLISHED,0"));
  await told.nthEstablished(1);
  fake.say(asking("REAUTH,0,7", { common_name: "one" }));
  await told.nthAsked(3);

  fake.listed = ["0,one,192.0.2.7:40000,10.42.0.2,", "1,laptop,192.0.2.7:40001,,"];
  fake.drop();
  const attached = await told.nthAttached(2);
  expect(attached.sameDaemon).toBe(true);
  const live = attached.tunnels[0]?.tunnel;
  expect(live?.key).not.toBe(first.tunnel.key);
  // The one being asked is sent back by the key it asked with; nobody else is.
  const denials = fake.commands.filter((command) => command.startsWith("client-deny"));
  expect(denials).toMatchObject([expect.stringMatching(/^client-deny 1 2 .*TEMP\[backoff 2\]/)]);
  await expect(driver.admit(second.tunnel, admissionOf(2))).rejects.toMatchObject({ code: "connection-ended" });
  // The renegotiation under way is asked again, on the tunnel's new key.
  const again = await told.nthAsked(4);
  expect(again).toMatchObject({ kind: "reauth", tunnel: live });
  if (live === undefined) throw new Error("nothing was reported");
  await driver.admit(live, admissionOf(1, { kind: "reauth" }));
  await fake.received(/^client-auth-nt 0 7$/);
  expect(told.gone).toEqual([]);
});

test("answers given while the connection is lost fail, and do not reach another tunnel later", async () => {
  await using fake = await openFakeOpenVpn();
  const { driver, told } = fake.life();
  await driver.start(told.events);
  fake.say(asking("CONNECT,0,1"));
  const { tunnel } = await told.nthAsked(1);
  fake.reply = (command) => (command.startsWith("client-") ? null : undefined);
  const answer = driver.admit(tunnel, admissionOf(1));
  answer.catch(() => undefined);
  await fake.received(/^client-pending-auth 0 1/);
  fake.drop();
  await expect(answer).rejects.toMatchObject({ code: "driver-failed" });
  await told.nthAttached(2);
  await expect(driver.admit(tunnel, admissionOf(1))).rejects.toMatchObject({ code: "connection-ended" });
});

test("until a server's list is read nothing is said to a client known from before: its number may be another's", async () => {
  await using fake = await openFakeOpenVpn();
  const { driver, told } = fake.life();
  await driver.start(told.events);
  fake.say(asking("CONNECT,0,1"));
  const { tunnel } = await told.nthAsked(1);
  const listsBefore = fake.commands.filter((command) => command === "status 3").length;
  fake.reply = (command) => (command === "status 3" ? null : undefined);
  fake.drop();
  await until(
    "the list to be asked for again",
    () => fake.commands.filter((command) => command === "status 3").length > listsBefore,
  );
  await expect(driver.admit(tunnel, admissionOf(1))).rejects.toMatchObject({ code: "driver-failed" });
  expect(fake.commands.filter((command) => command.startsWith("client-auth"))).toEqual([]);
});

test("when the process dies every tunnel is gone, once, before the next one is attached", async () => {
  await using fake = await openFakeOpenVpn();
  const { driver, told } = fake.life();
  await driver.start(told.events);
  fake.say(asking("CONNECT,0,1"), asking("CONNECT,1,1"), ">BYTECOUNT_CLI:1,1,1");
  const [first, second] = [await told.nthAsked(1), await told.nthAsked(2)];
  await driver.admit(first.tunnel, admissionOf(1));
  fake.say(eventLines("ESTABLISHED,0"), ">BYTECOUNT_CLI:0,70,80");
  await told.nthEstablished(1);
  await fake.killServer();
  const attached = await told.nthAttached(2);
  expect(attached).toMatchObject({ sameDaemon: false, tunnels: [] });
  expect(told.gone.map(({ tunnel, counts }) => [tunnel.key, counts])).toEqual([
    [first.tunnel.key, null],
    [second.tunnel.key, null],
  ]);
  // The last counts were told before.
  expect(told.traffic).toEqual([{ tunnel: first.tunnel, bytesIn: 70, bytesOut: 80 }]);
  expect(told.order.at(-1)).toBe("attached 0");
});

test("another process at the socket is not attached", async () => {
  await using fake = await openFakeOpenVpn();
  fake.reply = (command) => (command === "pid" ? "SUCCESS: pid=1" : undefined);
  const { driver, told, log } = fake.life();
  await driver.start(told.events);
  expect(told.attached).toEqual([]);
  expect(JSON.stringify(log.lines.map(({ fields }) => String(fields.error)))).toContain("another process answers");
});

test("a ledger that cannot take the tunnels over is tried again; nothing is let through until then", async () => {
  await using fake = await openFakeOpenVpn();
  const { driver, told } = fake.life();
  let tries = 0;
  told.reconcile = async () => {
    tries += 1;
    if (tries === 1) throw new Error("the database is locked");
  };
  await driver.start(told.events);
  expect(fake.commands).not.toContain("hold release");
  await told.nthAttached(1);
  expect(tries).toBe(2);
  expect(fake.connections()).toBe(2);
});
