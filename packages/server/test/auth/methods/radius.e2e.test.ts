import { createSocket } from "node:dgram";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { MethodResult } from "../../../src/auth/methods/method.ts";
import { radiusMethod } from "../../../src/auth/methods/radius.ts";
import { readRadiusSettings } from "../../../src/auth/methods/radius-options.ts";
import type { Settings } from "../../../src/auth/methods/settings.ts";
import { Secret } from "../../../src/core/secret.ts";
import { accountingAttributes } from "../../../src/radius/accounting.ts";
import { createRadiusClient } from "../../../src/radius/client.ts";
import { attr, attributesOf, replyTo, startUdpPeer } from "../../radius/udp-peer.ts";
import { type FreeRadius, secret, startFreeRadius } from "./freeradius.ts";

const login = (username: string, password: string, more = {}) => ({
  username,
  password: new Secret(password),
  clientAddress: "192.0.2.7",
  hardwareAddress: "00:01:02:ab:cd:ef",
  ...more,
});
const alice = login("alice", "wonder land");
const quiet = () => undefined;
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet };
const wrong = (words: string) => ({ outcome: "wrong", reason: expect.stringContaining(words) });
const unreachable = (words: string) => ({ outcome: "unreachable", reason: expect.stringContaining(words) });

let radius: FreeRadius;
/** One that sends no Message-Authenticator, as FreeRADIUS 3.2.1 does unless it is told to. */
let bare: FreeRadius;
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  radius = await startFreeRadius({ messageAuthenticator: true });
  bare = await startFreeRadius({ messageAuthenticator: false });
});
afterAll(async () => {
  await radius?.stop();
  await bare?.stop();
});
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

function methodOf(ports: number[], more: Settings = {}) {
  const settings: Settings = {
    per_server_timeout: "5",
    per_server_retries: "1",
    ...Object.fromEntries(
      ports.flatMap((port, number) => [
        [`server.${number}.host`, "127.0.0.1"],
        [`server.${number}.auth_port`, String(port)],
        [`server.${number}.secret`, secret],
      ]),
    ),
    ...more,
  };
  const read = readRadiusSettings(
    Object.fromEntries(Object.entries(settings).map(([key, value]) => [`auth.radius.0.${key}`, value])),
    { nasIdentifier: "vpn.example.org" },
  );
  if (read.options === undefined) throw new Error(JSON.stringify(read.faults));
  const method = radiusMethod(read.options, log);
  cleanUp.push(() => method.close?.());
  return method;
}

/** Where no answer is waited for in earnest. */
const impatient: Settings = { per_server_timeout: "1", per_server_retries: "1" };

async function freePort(): Promise<number> {
  const peer = await startUdpPeer(() => undefined);
  await peer.stop();
  return peer.port;
}

/** Stands before the real server and may change what it answers. */
async function relay(to: number, change: (reply: Buffer, request: Buffer) => Buffer | undefined) {
  const upstream = createSocket("udp4");
  const senders = new Map<number, (reply: Buffer) => void>();
  const requests = new Map<number, Buffer>();
  upstream.on("message", (reply) => {
    const changed = change(reply, requests.get(reply[1] ?? 0) ?? Buffer.alloc(0));
    if (changed) senders.get(reply[1] ?? 0)?.(changed);
  });
  const peer = await startUdpPeer((request, send) => {
    senders.set(request[1] ?? 0, send);
    requests.set(request[1] ?? 0, request);
    upstream.send(request, to, "127.0.0.1");
  });
  cleanUp.push(async () => {
    await peer.stop();
    upstream.close();
  });
  return peer;
}

describe.each([["pap"], ["chap"], ["mschapv2"]])("passwords by %s", (auth_method) => {
  test("the right one is accepted, a wrong one, another's and an unknown name are wrong", async () => {
    const method = methodOf([radius.port], { auth_method });
    expect(await method.check(alice)).toMatchObject({
      outcome: "accepted",
      userId: "alice",
      reason: "radius auth succeeded",
    });
    expect(await method.check(login("alice", "wonderland"))).toEqual(wrong("radius auth failed"));
    expect(await method.check(login("bob", "wonder land"))).toEqual(wrong("radius auth failed"));
    expect(await method.check(login("nobody", "x"))).toEqual(wrong("radius auth failed"));
  });

  test("a name and password that are not ASCII arrive as they are", async () => {
    const method = methodOf([radius.port], { auth_method, case_sensitive: "true" });
    expect(await method.check(login("Zoë", "pässwörd"))).toMatchObject({ outcome: "accepted", userId: "Zoë" });
  });

  test("an empty password is never accepted, and never sent", async () => {
    const peer = await relay(radius.port, (reply) => reply);
    expect(await methodOf([peer.port], { auth_method }).check(login("alice", ""))).toEqual(wrong("empty"));
    expect(peer.received).toEqual([]);
  });

  test("a password longer than can be carried is wrong, not an outage", async () => {
    const long = await methodOf([radius.port], { auth_method }).check(login("alice", "x".repeat(2000)));
    expect(long.outcome).toBe("wrong");
  });
});

test("scripts get every attribute of the reply by its number", async () => {
  const result = await methodOf([radius.port]).check(alice);
  expect(result).toMatchObject({
    info: {
      radius_reply: {
        8: ["10.42.0.7"],
        11: ["one", "two"],
        18: ["Hello alice"],
        25: ["engineers"],
        26: ["9.1=shell:priv-lvl=15"],
        27: ["3600"],
      },
    },
  });
});

test("the request says who asks, for whom and from where", async () => {
  const peer = await relay(radius.port, (reply) => reply);
  const text = (wanted: number, packet = peer.received.at(-1) as Buffer) =>
    attributesOf(packet, wanted).map((value) => value.toString());
  await methodOf([peer.port], { nas_ip_address: "192.0.2.1" }).check(alice);
  expect([text(1), text(32), text(31)]).toEqual([["alice"], ["vpn.example.org"], ["192.0.2.7"]]);
  const request = peer.received[0] as Buffer;
  expect(attributesOf(request, 4)).toEqual([Buffer.of(192, 0, 2, 1)]);
  expect(attributesOf(request, 61)).toEqual([Buffer.of(0, 0, 0, 5)]);
  expect(request.includes("wonder land")).toBe(false);
  await methodOf([peer.port], { calling_station_id: "hardware", nas_identifier: "gate" }).check(alice);
  expect([text(31), text(32)]).toEqual([["00:01:02:ab:cd:ef"], ["gate"]]);
  await methodOf([peer.port], { calling_station_id: "hardware" }).check({ ...alice, hardwareAddress: undefined });
  expect(text(31)).toEqual(["192.0.2.7"]);
});

test("what the server says to the person is in the reason", async () => {
  expect(await methodOf([radius.port]).check(login("locked", "x"))).toEqual(wrong("Your account is locked"));
});

test("a name is one user however its case is typed, unless case counts", async () => {
  const accepting = await relay(radius.port, (reply) => reply);
  expect(await methodOf([accepting.port]).check(login("alice", "wonder land"))).toMatchObject({ userId: "alice" });
  const zoe = login("Zoë", "pässwörd");
  expect(await methodOf([radius.port]).check(zoe)).toMatchObject({ outcome: "accepted", userId: "zoë" });
});

describe("challenges", () => {
  const ask = async (name: string, more: Settings = {}) => {
    const method = methodOf([radius.port], more);
    const result = await method.check(login(name, "first"));
    if (result.outcome !== "challenged") throw new Error(JSON.stringify(result));
    // As it is kept and read again, maybe by another process.
    const state = JSON.parse(JSON.stringify(result.state));
    const answer = (text: string, by = method): Promise<MethodResult> | undefined =>
      by.resume?.(state, new Secret(text));
    return { ...result, method, state, answer };
  };

  test("the server's question is put, and the right answer is accepted, even after a restart", async () => {
    const { text, echo, answer } = await ask("carol");
    expect([text, echo]).toEqual(["Code for carol at 192.0.2.7:", false]);
    expect(await answer("424242", methodOf([radius.port]))).toMatchObject({ outcome: "accepted", userId: "carol" });
  });

  test("the server may let the answer be shown", async () => {
    expect((await ask("dave")).echo).toBe(true);
  });

  test("a wrong answer is wrong, and so is a wrong password before the question", async () => {
    expect(await (await ask("carol")).answer("1")).toEqual(wrong("radius auth failed"));
    expect(await methodOf([radius.port]).check(login("carol", "nope"))).toEqual(wrong("radius auth failed"));
  });

  test("the state holds no password", async () => {
    expect(JSON.stringify((await ask("carol")).state)).not.toContain("first");
  });

  test("an answer goes to the server that asked, and is an outage where that one is gone", async () => {
    const { state, answer } = await ask("carol");
    const elsewhere = methodOf([bare.port]);
    expect(await answer("424242", elsewhere)).toEqual(unreachable("no longer set up"));
    expect(await elsewhere.resume?.({ ...state, server: 7 }, new Secret("424242"))).toEqual(
      unreachable("cannot be read"),
    );
    expect(await elsewhere.resume?.({}, new Secret("424242"))).toEqual(unreachable("cannot be read"));
  });
});

describe("servers that must not be believed", () => {
  test("without Message-Authenticator neither yes nor no counts, and the reason says what to set", async () => {
    const method = methodOf([bare.port]);
    expect(await method.check(alice)).toEqual(unreachable("require_message_authenticator"));
    expect(await method.check(login("alice", "wrong"))).toEqual(unreachable("require_message_authenticator"));
  });

  test("relaxed for that server, it is believed, and only that one", async () => {
    const relaxed = { "server.0.require_message_authenticator": "false" };
    const method = methodOf([bare.port], relaxed);
    expect(await method.check(alice)).toMatchObject({ outcome: "accepted" });
    expect(await method.check(login("alice", "wrong"))).toEqual(wrong("radius auth failed"));
    const other = methodOf([await freePort(), bare.port], relaxed);
    expect(await other.check(alice)).toEqual(unreachable("require_message_authenticator"));
  });

  test("a no that was turned into a yes on the way is not believed, relaxed or not", async () => {
    const forge = (reply: Buffer) => Buffer.concat([Buffer.of(2), reply.subarray(1)]);
    for (const [server, relaxed] of [
      [radius, "true"],
      [bare, "false"],
    ] as const) {
      const peer = await relay(server.port, forge);
      const method = methodOf([peer.port], { ...impatient, "server.0.require_message_authenticator": relaxed });
      expect(await method.check(login("alice", "wrong"))).toEqual(unreachable("not signed with its secret"));
    }
  });

  test("a yes to somebody else's request is not believed", async () => {
    let yes: Buffer | undefined;
    const peer = await relay(radius.port, (reply) => {
      if (reply[0] === 2) yes = reply;
      if (yes === undefined) return reply;
      return Buffer.concat([yes.subarray(0, 1), reply.subarray(1, 2), yes.subarray(2)]);
    });
    expect(await methodOf([peer.port]).check(alice)).toMatchObject({ outcome: "accepted" });
    expect(await methodOf([peer.port], impatient).check(login("bob", "guess"))).toEqual(
      unreachable("not signed with its secret"),
    );
  });

  test("an accept that does not prove that the server knows the password is an outage with MS-CHAPv2", async () => {
    const success = Buffer.concat([Buffer.from("000001371a2d00", "hex"), Buffer.from(`S=${"0".repeat(40)}`)]);
    for (const attributes of [[], [attr(26, success)]]) {
      const lying = await startUdpPeer((request, send) => send(replyTo(request, { code: 2, secret, attributes })));
      cleanUp.push(() => lying.stop());
      expect(await methodOf([lying.port]).check(alice)).toMatchObject({ outcome: "accepted" });
      expect(await methodOf([lying.port], { auth_method: "mschapv2" }).check(alice)).toEqual(
        unreachable("MS-CHAP2-Success"),
      );
    }
  });

  test("with another secret the server keeps silent, which is an outage that says so", async () => {
    const method = methodOf([radius.port], { ...impatient, "server.0.secret": "another" });
    expect(await method.check(alice)).toEqual(unreachable("secret"));
  });
});

describe("outages", () => {
  test("a dead server is an outage at once", async () => {
    expect(await methodOf([await freePort()]).check(alice)).toEqual(unreachable("ECONNREFUSED"));
  });

  test("another server answers for one that is dead, hangs or has another secret", async () => {
    const hanging = await startFreeRadius({ messageAuthenticator: true });
    cleanUp.push(() => hanging.stop());
    await hanging.child.freeze();
    const ports = [await freePort(), hanging.port, radius.port];
    expect(await methodOf(ports, { per_server_timeout: "2", per_server_retries: "0" }).check(alice)).toMatchObject({
      outcome: "accepted",
    });
    const other = await startFreeRadius({ messageAuthenticator: true, secret: "another" });
    cleanUp.push(() => other.stop());
    expect(await methodOf([other.port, radius.port], impatient).check(alice)).toMatchObject({ outcome: "accepted" });
  });

  test("a server that hangs is an outage within its time, and answers again when it goes on", async () => {
    const slow = await startFreeRadius({ messageAuthenticator: true });
    cleanUp.push(() => slow.stop());
    const method = methodOf([slow.port], impatient);
    expect(method.deadlineMs).toBe(2000);
    expect(await method.check(alice)).toMatchObject({ outcome: "accepted" });
    await slow.child.freeze();
    expect(await method.check(alice)).toEqual(unreachable("did not answer within 2 s"));
    slow.child.signal("SIGCONT");
    expect(await method.check(alice)).toMatchObject({ outcome: "accepted" });
  });

  test("a server killed in the middle of a login is an outage", async () => {
    const doomed = await startFreeRadius({ messageAuthenticator: true });
    cleanUp.push(() => doomed.stop());
    await doomed.child.freeze();
    const waiting = methodOf([doomed.port], impatient).check(alice);
    await doomed.child.end("SIGKILL");
    expect(await waiting).toMatchObject({ outcome: "unreachable" });
  });

  test("one sign-in too many is refused at once", async () => {
    const silent = await startUdpPeer(() => undefined);
    cleanUp.push(() => silent.stop());
    const method = methodOf([silent.port], { max_waiting: "2", ...impatient });
    const waiting = [method.check(alice), method.check(alice)];
    expect(await method.check(alice)).toEqual(unreachable("auth.radius.0.max_waiting"));
    for (const one of await Promise.all(waiting)) expect(one).toEqual(unreachable("did not answer"));
  });

  test("many at once are each answered for themselves", async () => {
    const method = methodOf([radius.port], { per_server_timeout: "2", per_server_retries: "10" });
    const results = await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        method.check(i % 2 === 0 ? alice : login("bob", i % 4 === 1 ? "builder" : "no")),
      ),
    );
    expect(results.map((one) => (one.outcome === "accepted" ? one.userId : one.outcome))).toEqual(
      Array.from({ length: 300 }, (_, i) => ["alice", "bob", "alice", "wrong"][i % 4]),
    );
  });
});

test("accounting packets are understood by the server as they were meant", async () => {
  const client = createRadiusClient();
  cleanUp.push(() => client.close());
  const attributes = accountingAttributes({
    status: "stop",
    sessionId: "row-1",
    userId: "alice",
    nasIdentifier: "vpn.example.org",
    at: new Date(),
    clientAddress: "192.0.2.7",
    ipv4: "10.42.0.2",
    ipv6: "fd42::2",
    bytesIn: 2 ** 32 + 5,
    bytesOut: 7,
    durationSeconds: 61,
    endReason: "expired",
    classes: [Buffer.from("engineers")],
    delaySeconds: 0,
  });
  const server = {
    name: "accounting",
    host: "127.0.0.1",
    port: radius.accountingPort,
    secret: new Secret(secret),
    requireMessageAuthenticator: true,
  };
  await client.accounting(server, attributes, { tryMs: 2000, tries: 3 });
  const noted = await radius.accounted();
  for (const line of [
    "Acct-Status-Type = Stop",
    'Acct-Session-Id = "row-1"',
    'User-Name = "alice"',
    "Framed-IP-Address = 10.42.0.2",
    "Framed-IPv6-Address = fd42::2",
    "Acct-Input-Octets = 5",
    "Acct-Input-Gigawords = 1",
    "Acct-Output-Octets = 7",
    "Acct-Terminate-Cause = Session-Timeout",
    "Acct-Session-Time = 61",
  ]) {
    expect(noted).toContain(line);
  }
});
