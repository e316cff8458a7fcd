import fc from "fast-check";
import { expect, test } from "vitest";
import { Decoder, type Message } from "../../../src/drivers/openvpn/messages.ts";

/** A conversation as openvpn 2.6.14 had it, with what it says by itself in between. */
const conversation = Buffer.from(
  [
    ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info",
    ">HOLD:Waiting for hold release:0",
    "SUCCESS: pid=9273",
    ">STATE:1795299833,CONNECTED,SUCCESS,10.42.0.1,,,,,fd42:1::1",
    ">CLIENT:CONNECT,0,1",
    ">CLIENT:ENV,n_clients=0",
    ">CLIENT:ENV,password=a=b=c",
    ">CLIENT:ENV,username=Zoë",
    ">LOG:1795299833,I,MANAGEMENT: CMD 'status 3'",
    ">CLIENT:ENV,common_name=alice",
    ">CLIENT:ENV,UV_EMPTY=",
    ">CLIENT:ENV,END",
    "TITLE\tOpenVPN 2.6.14",
    ">BYTECOUNT_CLI:7,2872,2558",
    "END",
    ">CLIENT:ADDRESS,0,10.42.0.2,1",
    ">CLIENT:ESTABLISHED,0",
    ">CLIENT:ENV,time_unix=1795299834",
    ">CLIENT:ENV,END",
    ">CLIENT:CR_RESPONSE,0,1,c2VjcmV0",
    ">CLIENT:ENV,END",
    ">CLIENT:DISCONNECT,0",
    ">CLIENT:ENV,END",
    ">FATAL:out of luck",
    ">SOMETHING_NEW:1,2,3",
    "",
  ].join("\r\n"),
);

function decodeAll(chunks: readonly Buffer[]): Message[] {
  const decoder = new Decoder();
  return chunks.flatMap((chunk) => decoder.push(chunk));
}

const plain = (message: Message) =>
  message.kind === "client"
    ? {
        ...message.event,
        environment: Object.fromEntries([...message.event.environment].map(([name, raw]) => [name, raw.toString()])),
      }
    : message;

const expected = [
  { kind: "greeting" },
  { kind: "hold" },
  { kind: "line", text: "SUCCESS: pid=9273" },
  { kind: "state", name: "CONNECTED", detail: "SUCCESS" },
  { kind: "ignored", why: "not needed", text: ">LOG:1795299833,I,MANAGEMENT: CMD 'status 3'" },
  {
    type: "CONNECT",
    cid: 0,
    kid: 1,
    rest: undefined,
    damaged: false,
    environment: { n_clients: "0", password: "a=b=c", username: "Zoë", common_name: "alice", UV_EMPTY: "" },
  },
  { kind: "line", text: "TITLE\tOpenVPN 2.6.14" },
  { kind: "bytecount", cid: 7, bytesIn: 2_872, bytesOut: 2_558 },
  { kind: "line", text: "END" },
  { kind: "ignored", why: "not needed", text: "ADDRESS,0,10.42.0.2,1" },
  { type: "ESTABLISHED", cid: 0, damaged: false, environment: { time_unix: "1795299834" } },
  { type: "CR_RESPONSE", cid: 0, kid: 1, rest: "c2VjcmV0", damaged: false, environment: {} },
  { type: "DISCONNECT", cid: 0, damaged: false, environment: {} },
  { kind: "fatal", text: "out of luck" },
  { kind: "ignored", why: "an unknown message", text: ">SOMETHING_NEW:1,2,3" },
];

test("replies, events and news are told apart however they are interleaved", () => {
  expect(decodeAll([conversation]).map(plain)).toEqual(expected);
});

test("a stream cut at any byte is understood alike", () => {
  for (let at = 0; at <= conversation.length; at++) {
    const messages = decodeAll([conversation.subarray(0, at), conversation.subarray(at)]);
    expect(messages.map(plain)).toEqual(expected);
  }
  const bytes = Array.from(conversation, (byte) => Buffer.from([byte]));
  expect(decodeAll(bytes).map(plain)).toEqual(expected);
});

test("a stream in any pieces is understood alike", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: conversation.length }), { maxLength: 12 }), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), conversation.length];
      const chunks = places.slice(1).map((end, i) => conversation.subarray(places[i], end));
      expect(decodeAll(chunks).map(plain)).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});

test("values are kept as the bytes they were", () => {
  const raw = Buffer.from([0x62, 0xff, 0xfe, 0x3d, 0x80, 0x22]);
  const [message] = decodeAll([
    Buffer.concat([Buffer.from(">CLIENT:CONNECT,1,1\n>CLIENT:ENV,username="), raw, Buffer.from("\n>CLIENT:ENV,END\n")]),
  ]);
  expect(message?.kind === "client" && message.event.environment.get("username")?.equals(raw)).toBe(true);
});

test("an over-long line is dropped and reported, and an event it belongs to must not be believed", () => {
  const long = `>CLIENT:ENV,UV_LONG=${"x".repeat(50_000)}\n`;
  const text = `>CLIENT:CONNECT,5,1\n>CLIENT:ENV,username=a\n${long}>CLIENT:ENV,END\nSUCCESS: still here\n`;
  for (const size of [7, 1_000, 16_000, 100_000]) {
    const bytes = Buffer.from(text);
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
      bytes.subarray(i * size, (i + 1) * size),
    );
    const messages = decodeAll(chunks).map(plain);
    expect(messages).toMatchObject([
      { kind: "ignored", why: "a line is too long" },
      { type: "CONNECT", cid: 5, damaged: true },
      { kind: "line", text: "SUCCESS: still here" },
    ]);
    expect(JSON.stringify(messages).length).toBeLessThan(2_000);
  }
});

test("an environment of too many variables is bounded and must not be believed", () => {
  const many = Array.from({ length: 5_000 }, (_, i) => `>CLIENT:ENV,UV_${i}=x`).join("\n");
  const messages = decodeAll([Buffer.from(`>CLIENT:CONNECT,5,1\n${many}\n>CLIENT:ENV,END\n`)]);
  expect(messages.length).toBe(2);
  const last = messages.at(-1);
  expect(last?.kind === "client" && [last.event.damaged, last.event.environment.size]).toEqual([true, 1_024]);
});

test.each([
  [">CLIENT:CONNECT,1\n"],
  [">CLIENT:CONNECT,-1,1\n"],
  [">CLIENT:CONNECT,99999999999,1\n"],
  [">CLIENT:ESTABLISHED,1,2\n"],
  [">CLIENT:CONNECTED,1,1\n"],
  [">CLIENT:ENV,END\n"],
  [">CLIENT:ENV,username=root\n"],
  [">CLIENT\n"],
  [">\n"],
  [">BYTECOUNT_CLI:x,1,2\n"],
  [">BYTECOUNT_CLI:1,2\n"],
])("%j is ignored", (text) => {
  const messages = decodeAll([Buffer.from(text)]);
  expect(messages.map(({ kind }) => kind)).toEqual(["ignored"]);
});

test("an event without an end is given up when the next one begins", () => {
  const text =
    ">CLIENT:CONNECT,1,1\n>CLIENT:ENV,username=a\n>CLIENT:CONNECT,2,1\n>CLIENT:ENV,username=b\n>CLIENT:ENV,END\n";
  const messages = decodeAll([Buffer.from(text)]).map(plain);
  expect(messages).toMatchObject([
    { kind: "ignored", why: "an event without an end" },
    { type: "CONNECT", cid: 2, environment: { username: "b" } },
  ]);
});

test("no bytes at all make it fail or keep more than its bounds", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 20 }), (chunks) => {
      expect(() => decodeAll(chunks.map((chunk) => Buffer.from(chunk)))).not.toThrow();
    }),
  );
});

test("a password is never among what is reported as ignored", () => {
  const text = `>CLIENT:ENV,password=hunter2\n>CLIENT:CONNECT,1,1\n>CLIENT:ENV,password=hunter2${"x".repeat(20_000)}\n`;
  expect(JSON.stringify(decodeAll([Buffer.from(text)]))).not.toContain("hunter2");
});
