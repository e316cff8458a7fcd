import { expect, test } from "vitest";
import { until } from "../../waiting.ts";
import { asking, eventLines, openFakeOpenVpn } from "./fake-openvpn.ts";
import { admissionOf } from "./lab.ts";

const up = { bytes_received: "1000", bytes_sent: "2000" };
const refusal = { kind: "connect", reason: "r", clientReason: "No." } as const;

async function started(changes = {}) {
  const fake = await openFakeOpenVpn();
  const life = fake.life(changes);
  await life.driver.start(life.told.events);
  expect(life.told.attached.length).toBe(1);
  return { fake, ...life };
}

/** Lets one client in, as cid 0. */
async function letOneIn({ fake, driver, told }: Awaited<ReturnType<typeof started>>) {
  fake.say(asking("CONNECT,0,1"));
  const { tunnel } = await told.nthAsked(1);
  await driver.admit(tunnel, admissionOf(1));
  fake.say(eventLines("ESTABLISHED,0"));
  await told.nthEstablished(1);
  return tunnel;
}

test("a yes and its wake-up are one write, and without the wake-up there is none", async () => {
  for (const wakeUp of [true, false]) {
    const { fake, driver, told } = await started({ wakeUp });
    await using _ = fake;
    fake.say(asking("CONNECT,4,1"));
    const { tunnel } = await told.nthAsked(1);
    await driver.admit(tunnel, admissionOf(1));
    const write = fake.writes.find((text) => text.startsWith("client-auth 4 1\n")) ?? "";
    expect(write).toMatch(/^client-auth 4 1\n[\s\S]*\nEND\n/);
    expect(write.endsWith("END\nclient-pending-auth 4 1 X_WAKE: 60\n")).toBe(wakeUp);
    expect(fake.commands.some((command) => command.startsWith("client-pending-auth"))).toBe(wakeUp);
  }
});

test("a no is one write with its wake-up, and what comes of that client afterwards is harmless", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  fake.say(asking("CONNECT,4,2"));
  const { tunnel } = await told.nthAsked(1);
  await driver.refuse(tunnel, { ...refusal, reason: "a\nb", clientReason: 'say "no"' });
  expect(fake.writes).toContain('client-deny 4 2 "a b" "say \\"no\\""\nclient-pending-auth 4 2 X_WAKE: 60\n');
  fake.say(eventLines("DISCONNECT,4"), eventLines("DISCONNECT,99"), asking("CONNECT,5,1"));
  await told.nthAsked(2);
  expect(told.gone).toEqual([]);
  await expect(driver.refuse(tunnel, refusal)).rejects.toMatchObject({ code: "connection-ended" });
});

test("a client that gives up before it is answered is gone, and the answer fails", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  fake.say(asking("CONNECT,0,1"), eventLines("DISCONNECT,0"));
  const { tunnel } = await told.nthAsked(1);
  expect((await told.goneOf(tunnel)).counts).toEqual({ bytesIn: 0, bytesOut: 0 });
  await expect(driver.admit(tunnel, admissionOf(1))).rejects.toMatchObject({ code: "connection-ended" });
  expect(fake.commands.filter((command) => command.startsWith("client-auth"))).toEqual([]);
});

test("an admitted client that leaves before it is in is gone once", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  fake.say(asking("CONNECT,0,1"));
  const { tunnel } = await told.nthAsked(1);
  await driver.admit(tunnel, admissionOf(1));
  fake.say(eventLines("DISCONNECT,0"), eventLines("ESTABLISHED,0"), eventLines("DISCONNECT,0"));
  await fake.received(/^client-kill 0 "RESTART"$/);
  expect(told.gone.length).toBe(1);
  expect(told.established).toEqual([]);
});

test("the yes is settled before the tunnel is told to be established", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  fake.reply = (command) =>
    command.startsWith("client-auth ") ? `SUCCESS: client-auth\n${eventLines("ESTABLISHED,0")}` : undefined;
  fake.say(asking("CONNECT,0,1"));
  const { tunnel } = await told.nthAsked(1);
  await driver.admit(tunnel, admissionOf(1)).then(() => told.order.push("admitted"));
  await told.nthEstablished(1);
  expect(told.order.slice(-2)).toEqual(["admitted", `established ${tunnel.key}`]);
});

test("a yes that OpenVPN does not take fails, and so does one that cannot be said", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  fake.reply = (command) => (command.startsWith("client-auth ") ? "ERROR: client-auth command failed" : undefined);
  fake.say(asking("CONNECT,0,1"), asking("CONNECT,1,1"));
  const [first, second] = [await told.nthAsked(1), await told.nthAsked(2)];
  await expect(driver.admit(first.tunnel, admissionOf(1))).rejects.toMatchObject({ code: "driver-failed" });
  const unsayable = driver.admit(second.tunnel, admissionOf(1, { routes: ["10.0.0.0/8\nEND"] }));
  await expect(unsayable).rejects.toMatchObject({ code: "invalid-input" });
  await driver.disconnect(second.tunnel, { mayReturn: false, clientReason: null });
  await fake.received(/^client-deny 1 1 /);
});

test("a client that starts over with the same number is another tunnel, and the first is gone", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  fake.say(asking("CONNECT,7,1"), asking("CONNECT,7,2", { username: "bob" }));
  const [first, second] = [await told.nthAsked(1), await told.nthAsked(2)];
  expect(told.order.slice(-3)).toEqual([
    `asked ${first.tunnel.key}`,
    `gone ${first.tunnel.key}`,
    `asked ${second.tunnel.key}`,
  ]);
  expect(second.tunnel.key).not.toBe(first.tunnel.key);
  await expect(driver.admit(first.tunnel, admissionOf(1))).rejects.toMatchObject({ code: "connection-ended" });
  await driver.admit(second.tunnel, admissionOf(2));
  expect(await fake.received(/^client-auth /)).toMatch(/^client-auth 7 2\n/);
});

test("whoever is up without having been admitted is ended", async () => {
  const { fake, told } = await started();
  await using _ = fake;
  fake.say(asking("CONNECT,0,1"), eventLines("ESTABLISHED,0"), eventLines("ESTABLISHED,8"), asking("REAUTH,9,3"));
  for (const cid of [0, 8, 9]) await fake.received(new RegExp(`^client-kill ${cid} "RESTART"$`));
  expect(told.established).toEqual([]);
  expect(told.asked.length).toBe(1);
});

test("a renegotiation is asked on the same tunnel and answered for its own key, without a wake-up", async () => {
  const life = await started();
  await using fake = life.fake;
  const { driver, told } = life;
  const tunnel = await letOneIn(life);
  fake.say(asking("REAUTH,0,3"));
  const request = await told.nthAsked(2);
  expect(request).toMatchObject({ kind: "reauth", tunnel });
  await driver.admit(tunnel, admissionOf(1, { kind: "reauth" }));
  expect(fake.writes.at(-1)).toBe("client-auth-nt 0 3\n");
  await expect(driver.admit(tunnel, admissionOf(1, { kind: "reauth" }))).rejects.toMatchObject({
    code: "connection-ended",
  });
});

test("a refused renegotiation denies its own key with the reason, then ends the tunnel", async () => {
  const life = await started();
  await using fake = life.fake;
  const { driver, told } = life;
  const tunnel = await letOneIn(life);
  fake.say(asking("REAUTH,0,3"));
  await told.nthAsked(2);
  await driver.refuse(tunnel, { ...refusal, kind: "reauth" });
  expect(fake.writes.at(-1)).toBe('client-deny 0 3 "r" "No."\nclient-pending-auth 0 3 X_WAKE: 60\n');
  await fake.received(/^kill laptop$/);
  fake.say(eventLines("DISCONNECT,0", up));
  expect((await told.goneOf(tunnel)).counts).toEqual({ bytesIn: 1_000, bytesOut: 2_000 });
});

test("a refusal without a renegotiation that waits never denies a key that is authorised", async () => {
  const life = await started();
  await using fake = life.fake;
  const { driver } = life;
  const tunnel = await letOneIn(life);
  await driver.refuse(tunnel, { ...refusal, kind: "reauth" });
  await fake.received(/^client-kill 0 "HALT,No\."$/);
  expect(fake.commands.filter((command) => command.startsWith("client-deny"))).toEqual([]);
});

test("a renegotiation asked twice before it is answered ends the tunnel: answers could be mistaken", async () => {
  const life = await started();
  await using fake = life.fake;
  const { driver, told } = life;
  const tunnel = await letOneIn(life);
  fake.say(asking("REAUTH,0,3"), asking("REAUTH,0,4", { password: "other" }));
  await fake.received(/^client-deny 0 3 /);
  await fake.received(/^kill laptop$/);
  expect(told.asked.length).toBe(2);
  await expect(driver.admit(tunnel, admissionOf(1, { kind: "reauth" }))).rejects.toMatchObject({
    code: "connection-ended",
  });
});

test("malformed credentials are refused without anybody being asked, at a renegotiation too", async () => {
  const life = await started();
  await using fake = life.fake;
  const { told, log } = life;
  await letOneIn(life);
  // Latin-1 bytes cannot be said as a string of UTF-8; an environment that is too large is refused alike.
  const large = Object.fromEntries(Array.from({ length: 2_000 }, (_unused, i) => [`UV_${i}`, "x"]));
  fake.say(asking("CONNECT,1,1", large), asking("REAUTH,0,3", large));
  await fake.received(/^client-deny 1 1 .*"The user name or password could not be read\."$/);
  await fake.received(/^client-kill 0 "HALT,The user name or password could not be read\."$/);
  expect(told.asked.length).toBe(1);
  expect(log.lines.filter(({ level }) => level === "warn").length).toBeGreaterThan(0);
});

test("a text that had to be shortened is in the log as it was", async () => {
  const { fake, driver, told, log } = await started();
  await using _ = fake;
  fake.say(asking("CONNECT,0,1"));
  const { tunnel } = await told.nthAsked(1);
  const clientReason = `line one\nline two ${"x".repeat(500)}`;
  await driver.refuse(tunnel, { ...refusal, clientReason });
  expect(log.lines).toContainEqual({
    level: "warn",
    fields: { profileId: "office", listener: "udp/1194", what: "client reason", original: clientReason },
    message: "a text was shortened or cleaned for OpenVPN",
  });
});

test("a question goes to the client as text where it can answer on the spot, and its answer is asked again", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  const question = {
    stateId: "s1",
    userName: "alice",
    text: "Code?",
    echo: false,
    responseRequired: true,
    waitMs: 90_000,
  };
  fake.say(asking("CONNECT,0,1", { IV_SSO: "webauth,crtext" }));
  const { tunnel } = await told.nthAsked(1);
  await driver.challenge(tunnel, question);
  expect(fake.writes.at(-1)).toBe('client-pending-auth 0 1 "CR_TEXT:R:Code?" 90\n');
  await expect(driver.admit(tunnel, admissionOf(1))).rejects.toMatchObject({ code: "connection-ended" });

  fake.say(
    eventLines("CR_RESPONSE,0,2,eA=="),
    eventLines("CR_RESPONSE,5,1,eA=="),
    eventLines("CR_RESPONSE,0,1,MTIzNDU2"),
  );
  const again = await told.nthAsked(2);
  expect(again).toMatchObject({ kind: "connect", tunnel, username: "alice" });
  expect(again.password?.reveal()).toBe("CRV1::s1::123456");
  // A second answer to the same question is none.
  fake.say(eventLines("CR_RESPONSE,0,1,eA=="));
  await driver.admit(tunnel, admissionOf(1));
  expect(told.asked.length).toBe(2);
});

test("a question goes to other clients as a refusal", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  const question = {
    stateId: "s1",
    userName: "alice",
    text: "Code?",
    echo: true,
    responseRequired: true,
    waitMs: 90_000,
  };
  fake.say(asking("CONNECT,0,1"));
  const { tunnel } = await told.nthAsked(1);
  await driver.challenge(tunnel, question);
  expect(fake.writes.at(-1)).toBe(
    'client-deny 0 1 "a question was asked" "CRV1:R,E:s1:YWxpY2U=:Code?"\nclient-pending-auth 0 1 X_WAKE: 60\n',
  );
  fake.say(eventLines("DISCONNECT,0"), asking("CONNECT,1,1", { password: "CRV1::s1::42" }));
  expect((await told.nthAsked(2)).password?.reveal()).toBe("CRV1::s1::42");
  expect(told.gone).toEqual([]);
});

test("a long wait is announced to clients that understand it, and only then", async () => {
  const { fake, driver, told } = await started();
  await using _ = fake;
  fake.say(asking("CONNECT,0,1"), asking("CONNECT,1,1", { IV_PROTO: "2" }));
  const [first, second] = [await told.nthAsked(1), await told.nthAsked(2)];
  await driver.announceWait(first.tunnel, 20_000);
  await driver.announceWait(second.tunnel, 300_000);
  await driver.announceWait({ ...first.tunnel, key: "gone:0" }, 300_000);
  expect(fake.commands.filter((command) => command.startsWith("client-pending"))).toEqual([]);
  await driver.announceWait(first.tunnel, 300_000);
  expect(fake.writes.at(-1)).toBe("client-pending-auth 0 1 X_WAIT: 300\n");
  // What is announced takes the place of the client's own 60 s.
  await driver.announceWait(first.tunnel, 56_000);
  expect(fake.writes.at(-1)).toBe("client-pending-auth 0 1 X_WAIT: 60\n");
});

test("byte counts come in batches, those of a tunnel that ended do not come late", async () => {
  const life = await started();
  await using fake = life.fake;
  const { told } = life;
  const tunnel = await letOneIn(life);
  fake.say(asking("CONNECT,1,1"), ">BYTECOUNT_CLI:0,10,20", ">BYTECOUNT_CLI:0,30,40", ">BYTECOUNT_CLI:1,5,5");
  await until("traffic", () => told.traffic.length > 0);
  expect(told.traffic).toEqual([{ tunnel, bytesIn: 30, bytesOut: 40 }]);
  fake.say(">BYTECOUNT_CLI:0,50,60", eventLines("DISCONNECT,0"), asking("CONNECT,2,1"));
  // Without counts of its own, the end has the last ones.
  expect((await told.goneOf(tunnel)).counts).toEqual({ bytesIn: 50, bytesOut: 60 });
});

test("when OpenVPN restarts itself whoever is left is gone, and numbers mean others", async () => {
  const life = await started();
  await using fake = life.fake;
  const { driver, told } = life;
  const tunnel = await letOneIn(life);
  fake.say(">STATE:1,RECONNECTING,SIGUSR1,,,,,", asking("CONNECT,0,1"));
  expect((await told.goneOf(tunnel)).counts).toBe(null);
  const second = await told.nthAsked(2);
  expect(second.tunnel.key).not.toBe(tunnel.key);
  await expect(driver.disconnect(tunnel, { mayReturn: true, clientReason: null })).rejects.toMatchObject({
    code: "connection-ended",
  });
});
