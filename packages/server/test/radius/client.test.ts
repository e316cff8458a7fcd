import { createSocket } from "node:dgram";
import { afterEach, expect, test } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import { createRadiusClient, RadiusNoAnswer, type RadiusServer } from "../../src/radius/client.ts";
import { code, textAttribute } from "../../src/radius/packet.ts";
import { papPassword } from "../../src/radius/passwords.ts";
import { until } from "../waiting.ts";
import { type Answering, attr, attributesOf, replyTo, startUdpPeer } from "./udp-peer.ts";

const secret = "shared";
const patience = { tryMs: 10_000, tries: 2 };
/** Where no answer is to be believed. */
const impatience = { tryMs: 200, tries: 2 };
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

function clientHere() {
  const client = createRadiusClient();
  cleanUp.push(() => client.close());
  return client;
}

async function peer(answer: Answering) {
  const one = await startUdpPeer(answer);
  cleanUp.push(() => one.stop());
  const server: RadiusServer = {
    name: `127.0.0.1:${one.port}`,
    host: "127.0.0.1",
    port: one.port,
    secret: new Secret(secret),
    requireMessageAuthenticator: true,
  };
  return { ...one, server };
}

const alice = () => [textAttribute(1, "alice")];
const accept = (request: Buffer, more = {}) => replyTo(request, { code: 2, secret, ...more });

test("an answer with the server's signature is given back", async () => {
  const { server, received } = await peer((request, send) => send(accept(request, { attributes: [attr(25, "eng")] })));
  const reply = await clientHere().access(server, alice, patience);
  expect(reply.code).toBe(code.accessAccept);
  expect(reply.attributes.at(-1)).toEqual({ type: 25, value: Buffer.from("eng") });
  expect(attributesOf(received[0] as Buffer, 1)).toEqual([Buffer.from("alice")]);
});

test("the password is hidden with the authenticator of the very request that carries it", async () => {
  const { server, received } = await peer((request, send) => send(accept(request)));
  await clientHere().access(server, (authenticator) => [papPassword("pass", secret, authenticator)], patience);
  const request = received[0] as Buffer;
  expect(attributesOf(request, 2)).toEqual([papPassword("pass", secret, request.subarray(4, 20)).value]);
});

test("without an answer the same bytes are sent again, and then it is an outage that says what to look at", async () => {
  const { server, received } = await peer(() => undefined);
  await expect(clientHere().access(server, alice, impatience)).rejects.toThrow(/did not answer within 0.4 s; .*secret/);
  expect(received.length).toBe(2);
  expect(received[1]).toEqual(received[0]);
});

test("an answer to the second sending is as good", async () => {
  let count = 0;
  const { server } = await peer((request, send) => (++count === 2 ? send(accept(request)) : undefined));
  expect((await clientHere().access(server, alice, { tryMs: 100, tries: 100 })).code).toBe(2);
});

test("nobody listening there is known at once", async () => {
  const { server, stop } = await peer(() => undefined);
  await stop();
  cleanUp.pop();
  await expect(clientHere().access(server, alice, { tryMs: 20_000, tries: 3 })).rejects.toThrow("ECONNREFUSED");
});

test.each<[string, (request: Buffer, earlier: Buffer | undefined) => Buffer]>([
  ["signed with another secret", (request) => accept(request, { secret: "guessed" })],
  ["not signed at all", (request) => Buffer.concat([Buffer.of(2, request[1] ?? 0, 0, 20), Buffer.alloc(16)])],
  [
    "with the request's own authenticator",
    (request) => Buffer.concat([Buffer.of(2, request[1] ?? 0, 0, 20), request.subarray(4, 20)]),
  ],
  ["cut short", (request) => accept(request).subarray(0, 30)],
  ["with another identifier", (request) => accept(request, { identifier: ((request[1] ?? 0) + 1) % 256 })],
  ["with a code that answers nothing", (request) => accept(request, { code: 5 })],
  ["with a byte changed", (request) => Buffer.from(accept(request)).fill(0xaa, 25, 26)],
  ["that is empty", () => Buffer.alloc(0)],
  ["that is the request itself", (request) => request],
])("a reply %s is never believed, and the true one after it is", async (_what, hostile) => {
  const { server } = await peer((request, send) => {
    send(hostile(request, undefined));
    send(replyTo(request, { code: 3, secret }));
  });
  expect((await clientHere().access(server, alice, patience)).code).toBe(code.accessReject);
  const alone = await peer((request, send) => send(hostile(request, undefined)));
  await expect(clientHere().access(alone.server, alice, impatience)).rejects.toThrow(RadiusNoAnswer);
});

test("an accept recorded earlier is not believed when it is played again", async () => {
  let recorded: Buffer | undefined;
  const { server } = await peer((request, send) => {
    recorded ??= accept(request);
    // For the new request's number, with everything else as it was recorded.
    const played = Buffer.from(recorded);
    played[1] = request[1] ?? 0;
    send(recorded);
    send(played);
  });
  const client = clientHere();
  expect((await client.access(server, alice, patience)).code).toBe(2);
  await expect(client.access(server, alice, impatience)).rejects.toThrow("not signed with its secret");
});

test("forged replies are counted, and the reason asks after the secret", async () => {
  const { server } = await peer((request, send) => send(accept(request, { secret: "other" })));
  await expect(clientHere().access(server, alice, impatience)).rejects.toThrow(/\d replies came that are not signed/);
});

test("an answer without Message-Authenticator is refused at once and says what to set; relaxed, it is believed", async () => {
  const { server } = await peer((request, send) => send(accept(request, { bare: true })));
  const slow = { tryMs: 20_000, tries: 1 };
  await expect(clientHere().access(server, alice, slow)).rejects.toThrow("require_message_authenticator");
  const relaxed = { ...server, requireMessageAuthenticator: false };
  expect((await clientHere().access(relaxed, alice, slow)).code).toBe(2);
});

test("a reply from another port is dropped before it is looked at", async () => {
  const stranger = createSocket("udp4");
  cleanUp.push(() => stranger.close());
  const { server } = await peer((request, _send, from) => stranger.send(accept(request), from.port, from.address));
  await expect(clientHere().access(server, alice, impatience)).rejects.toThrow("did not answer");
});

test("a thousand at once each get their own answer, whatever the order, over few ports", async () => {
  const waiting = new Map<string, () => void>();
  const ports = new Set<number>();
  const { server } = await peer((request, send, from) => {
    ports.add(from.port);
    const name = String(attributesOf(request, 1)[0]);
    const answered = waiting.size === 1000;
    waiting.set(name, () => send(accept(request, { attributes: [attr(18, name)] })));
    if (answered) waiting.get(name)?.();
    else if (waiting.size === 1000) for (const reply of [...waiting.values()].reverse()) reply();
  });
  const client = clientHere();
  const names = Array.from({ length: 1000 }, (_, i) => `user${i}`);
  const replies = await Promise.all(
    names.map((name) => client.access(server, () => [textAttribute(1, name)], { tryMs: 500, tries: 50 })),
  );
  expect(replies.map((reply) => reply.attributes.at(-1)?.value.toString())).toEqual(names);
  expect(ports.size).toBe(4);
});

test("no identifier of a port is used twice while it waits", async () => {
  const seen = new Map<string, number>();
  const { server } = await peer((request, _send, from) => {
    const key = `${from.port} ${request[1]}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  });
  const client = clientHere();
  const asked: Promise<unknown>[] = [];
  // So many at a time as a socket's buffer holds, however late it is read.
  for (const count of [100, 200, 300]) {
    while (asked.length < count)
      asked.push(client.access(server, alice, { tryMs: 120_000, tries: 1 }).catch(() => undefined));
    await until(`${count} requests have identifiers of their own`, () => seen.size === count, { deadlineMs: 20_000 });
  }
  client.close();
  await Promise.all(asked);
  expect(Math.max(...seen.values())).toBe(1);
});

test("a late answer to a request that was given up is not taken for the next one's", async () => {
  const late: Buffer[] = [];
  const { server } = await peer((request, send) => {
    for (const one of late) send(one);
    late.push(accept(request));
  });
  const client = clientHere();
  for (let i = 0; i < 3; i++) {
    await expect(client.access(server, alice, { tryMs: 50, tries: 1 })).rejects.toThrow(RadiusNoAnswer);
  }
});

test("closing ends what waits as an outage", async () => {
  const { server } = await peer(() => undefined);
  const client = createRadiusClient();
  const waiting = client.access(server, alice, { tryMs: 30_000, tries: 1 });
  const outcome = expect(waiting).rejects.toThrow(RadiusNoAnswer);
  client.close();
  await outcome;
  await expect(client.access(server, alice, impatience)).rejects.toThrow(RadiusNoAnswer);
});

test("a host name that cannot be resolved is an outage, and an IPv6 server is asked as any other", async () => {
  const { server } = await peer(() => undefined);
  const client = clientHere();
  await expect(client.access({ ...server, host: "radius.invalid" }, alice, impatience)).rejects.toThrow(
    "cannot be resolved",
  );
  await expect(client.access({ ...server, host: "::1" }, alice, impatience)).rejects.toThrow(RadiusNoAnswer);
});

test("accounting waits for its own answer, signed for it", async () => {
  const { server, received } = await peer((request, send) => {
    send(replyTo(request, { code: 5, secret: "other", bare: true }));
    send(replyTo(request, { code: 2, secret, bare: true }));
    send(replyTo(request, { code: 5, secret, bare: true }));
  });
  await clientHere().accounting(server, [textAttribute(44, "row")], patience);
  expect(received[0]?.[0]).toBe(4);
  const silent = await peer((request, send) => send(replyTo(request, { code: 5, secret: "other", bare: true })));
  await expect(clientHere().accounting(silent.server, [], impatience)).rejects.toThrow("not signed with its secret");
});
