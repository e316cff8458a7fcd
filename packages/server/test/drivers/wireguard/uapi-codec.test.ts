import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Secret } from "../../../src/core/secret.ts";
import { canonicalRange, type DeviceChange, type PeerChange } from "../../../src/drivers/wireguard/device.ts";
import { keyToHex } from "../../../src/drivers/wireguard/keys.ts";
import { AnswerReader, encodeChange } from "../../../src/drivers/wireguard/uapi-codec.ts";
import { hostileText } from "../openvpn/hostile.ts";
import { addressNumber, key, keyNumber, noKey, noRange, range, secretKey } from "./arbitraries.ts";

const encoded = (change: DeviceChange) => [...encodeChange(change)].join("");
const put = fc.record({
  kind: fc.constant("put" as const),
  publicKey: key,
  presharedKey: fc.option(secretKey),
  allowedIps: fc.array(range, { maxLength: 4 }),
  endpoint: fc.option(hostileText),
});
const other = fc.record({ kind: fc.constantFrom("clear" as const, "remove" as const), publicKey: key });
const change: fc.Arbitrary<DeviceChange> = fc.record(
  { privateKey: secretKey, listenPort: fc.integer({ min: 0, max: 65_535 }), peers: fc.array(fc.oneof(put, other)) },
  { requiredKeys: [] },
);

test("an operation is lines of known keys and harmless values, with one empty line, at its end", () => {
  fc.assert(
    fc.property(change, (one) => {
      const text = encoded(one);
      assert.ok(text.startsWith("set=1\n") && text.endsWith("\n\n"));
      const lines = text.slice(0, -2).split("\n");
      const known =
        /^(?:set=1|(?:private|public|preshared)_key=[0-9a-f]{64}|listen_port=\d{1,5}|(?:remove|update_only|replace_allowed_ips)=true|allowed_ip=[0-9a-f.:]+\/\d{1,3}|endpoint=[0-9a-f.:[\]]+:\d{1,5}|persistent_keepalive_interval=[01])$/;
      for (const line of lines) assert.match(line, known);
    }),
  );
});

test("every peer is there in its order, with what belongs to it", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(put, other)), (peers) => {
      const text = encoded({ peers });
      const blocks = text.split(/^(?=public_key=)/m).slice(1);
      let at = 0;
      for (const peer of peers) {
        const block = blocks[at++] ?? "";
        assert.ok(block.startsWith(`public_key=${keyToHex(peer.publicKey)}\n`));
        if (peer.kind === "put") {
          const shared = peer.presharedKey === null ? "0".repeat(64) : keyToHex(peer.presharedKey.reveal());
          assert.ok(block.includes(`preshared_key=${shared}\nreplace_allowed_ips=true\n`));
          const ranges = [...block.matchAll(/^allowed_ip=(.*)$/gm)].map(([, text]) => text);
          assert.deepEqual(ranges, peer.allowedIps.map(canonicalRange));
          // The keepalive that was turned on for the handshake is turned off.
          if (block.includes("persistent_keepalive_interval=1\n"))
            assert.ok(blocks[at++]?.includes("persistent_keepalive_interval=0\n"));
        } else assert.equal(block.includes("remove=true"), peer.kind === "remove");
      }
      assert.equal(at, blocks.length);
    }),
  );
});

test.each<[string, fc.Arbitrary<DeviceChange>]>([
  ["public key", noKey.map((publicKey) => ({ peers: [{ kind: "remove", publicKey }] }))],
  [
    "public key of a new peer",
    noKey.map((publicKey) => ({ peers: [{ kind: "put", publicKey, presharedKey: null, allowedIps: [] }] })),
  ],
  [
    "preshared key",
    fc.tuple(key, noKey).map(([publicKey, text]) => ({
      peers: [{ kind: "put", publicKey, presharedKey: new Secret(text), allowedIps: [] }],
    })),
  ],
  ["private key", noKey.map((text) => ({ privateKey: new Secret(text) }))],
  [
    "range",
    fc
      .tuple(key, noRange.filter(isNoRange))
      .map(([publicKey, text]) => ({ peers: [{ kind: "put", publicKey, presharedKey: null, allowedIps: [text] }] })),
  ],
  [
    "port",
    fc
      .oneof(fc.double(), fc.integer({ max: -1 }), fc.integer({ min: 65_536 }))
      .filter(isNoPort)
      .map((listenPort) => ({ listenPort })),
  ],
])("a malformed %s is refused", (_, changes) => {
  fc.assert(
    fc.property(changes, (one) => {
      assert.throws(() => encoded(one), { code: "invalid-input" });
    }),
  );
});

function isNoRange(text: string): boolean {
  try {
    canonicalRange(text);
    return false;
  } catch {
    return true;
  }
}

function isNoPort(port: number): boolean {
  return !(Number.isInteger(port) && port >= 0 && port <= 65_535);
}

const answer = [
  `private_key=${keyToHex(keyNumber(0))}`,
  "listen_port=51820",
  "fwmark=7",
  `public_key=${keyToHex(keyNumber(1))}`,
  `preshared_key=${keyToHex(keyNumber(2))}`,
  "protocol_version=1",
  "endpoint=[fd18::2]:40123",
  "last_handshake_time_sec=1700000000",
  "last_handshake_time_nsec=987654321",
  "tx_bytes=9007199254740991",
  "rx_bytes=42",
  "persistent_keepalive_interval=0",
  "allowed_ip=10.43.0.2/32",
  "allowed_ip=FD43:1:0:0::2/128",
  "something_new=of a later version",
  `public_key=${keyToHex(keyNumber(3))}`,
  `preshared_key=${"0".repeat(64)}`,
  "last_handshake_time_sec=0",
  "last_handshake_time_nsec=0",
  "tx_bytes=0",
  "rx_bytes=0",
  "errno=0",
  "",
  "",
].join("\n");

test("an answer reads the same however it is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: answer.length })), (cuts) => {
      const reader = new AnswerReader();
      const at = [0, ...cuts.toSorted((a, b) => a - b), answer.length];
      const done = at.slice(1).map((end, index) => reader.take(answer.slice(at[index], end)));
      assert.equal(done.at(-1), true);
      assert.equal(reader.errno, 0);
      const { privateKey, listenPort, peers } = reader.state;
      assert.equal(privateKey?.reveal(), keyNumber(0));
      assert.equal(listenPort, 51_820);
      const [one, two] = [...peers.values()];
      assert.equal(one?.presharedKey?.reveal(), keyNumber(2));
      assert.deepEqual(
        { ...one, presharedKey: null },
        {
          publicKey: keyNumber(1),
          presharedKey: null,
          endpoint: "[fd18::2]:40123",
          lastHandshakeMs: 1_700_000_000_987,
          bytesIn: 42,
          bytesOut: 9_007_199_254_740_991,
          allowedIps: ["10.43.0.2/32", "fd43:1::2/128"],
        },
      );
      assert.equal(two?.publicKey, keyNumber(3));
      assert.equal(two?.presharedKey, null);
      assert.equal(two?.lastHandshakeMs, null);
    }),
  );
});

test("an errno is read, with and without an empty line before it", () => {
  for (const text of ["errno=-22\n\n", "\nerrno=-22\n\n"]) {
    const reader = new AnswerReader();
    expect(reader.take(text)).toBe(true);
    expect(reader.errno).toBe(-22);
  }
});

test("whatever else comes is refused or waited for, never taken for an answer", () => {
  fc.assert(
    fc.property(
      hostileText.filter((text) => !text.includes("errno=")),
      (text) => {
        const reader = new AnswerReader();
        try {
          assert.equal(reader.take(text), false);
        } catch (error) {
          assert.equal((error as { code: string }).code, "driver-failed");
          assert.ok(text.length < 20 || !(error as Error).message.includes(text));
        }
      },
    ),
  );
});

test("a line without an end does not fill the memory", () => {
  const reader = new AnswerReader();
  expect(() => {
    for (let times = 0; times < 100; times++) reader.take("x".repeat(100));
  }).toThrow("a line is too long");
});

test("ten thousand peers come in pieces, none of them long", () => {
  const peers = Array.from(
    { length: 10_000 },
    (_, index): PeerChange => ({
      kind: "put",
      publicKey: keyNumber(index % 50),
      presharedKey: null,
      allowedIps: [addressNumber(index)],
    }),
  );
  const pieces = [...encodeChange({ peers })];
  expect(pieces.length).toBeGreaterThan(30);
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(256 * 1_024);
  expect(pieces.join("").match(/^allowed_ip=/gm)?.length).toBe(10_000);
});
