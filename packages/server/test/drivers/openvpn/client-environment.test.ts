import { inspect } from "node:util";
import { expect, test } from "vitest";
import { readAbilities, readAnswer, readCounts, readRequest } from "../../../src/drivers/openvpn/client-environment.ts";
import type { ClientEvent } from "../../../src/drivers/openvpn/messages.ts";

const tunnel = { profileId: "office", listener: "udp/1194", key: "1:0" };

function event(variables: Record<string, string | Buffer>, changes: Partial<ClientEvent> = {}): ClientEvent {
  const pairs = Object.entries(variables).map(([name, value]) => [name, Buffer.from(value as string)] as const);
  return { type: "CONNECT", cid: 0, kid: 1, rest: undefined, environment: new Map(pairs), damaged: false, ...changes };
}

/** As openvpn 2.6.14 sends them. */
const usual = {
  n_clients: "0",
  password: "se=cret",
  untrusted_port: "52329",
  untrusted_ip: "192.0.2.2",
  common_name: "alice",
  username: "alice",
  IV_HWADDR: "00:01:02:ab:cd:ef",
  IV_PROTO: "990",
  IV_PLAT: "linux",
  UV_ASCLI_VER: "3.5.0",
  tls_serial_hex_0: "0a:b9:2e",
  tls_serial_0: "702766",
  tls_digest_0: "39:7a",
  X509_0_CN: "alice",
  X509_1_CN: "Lab CA",
  tls_serial_1: "12",
  daemon_pid: "1",
};

test("an environment becomes a request with everything scripts and steps need", () => {
  const read = readRequest("connect", tunnel, event(usual));
  if ("malformed" in read) throw new Error(read.malformed);
  const { password, ...rest } = read.request;
  expect(rest).toEqual({
    kind: "connect",
    tunnel,
    protocol: "openvpn",
    username: "alice",
    certificate: { commonName: "alice", serial: "ab92e" },
    clientAddress: "192.0.2.2",
    clientPort: 52_329,
    hardwareAddress: "00:01:02:ab:cd:ef",
    clientInfo: { IV_HWADDR: "00:01:02:ab:cd:ef", IV_PROTO: "990", IV_PLAT: "linux", UV_ASCLI_VER: "3.5.0" },
    certificateFields: {
      X509_0_CN: "alice",
      X509_1_CN: "Lab CA",
      X509_0_SHA1: "39:7A",
      tls_serial_0: "702766",
      tls_serial_1: "12",
    },
  });
  expect(password?.reveal()).toBe("se=cret");
  expect(inspect(read, { depth: 9 }) + JSON.stringify(read)).not.toContain("se=cret");
});

test("a machine without a hardware address of its own is known by what its agent says", () => {
  const hardwareAddressOf = (variables: Record<string, string>) => {
    const read = readRequest("connect", tunnel, event({ username: "alice", untrusted_ip: "192.0.2.2", ...variables }));
    return "request" in read ? read.request.hardwareAddress : read;
  };
  const device = "0f0e0d0c-0000-4000-8000-000000000001";
  expect(hardwareAddressOf({ UV_HWADDR: device })).toBe(device);
  expect(hardwareAddressOf({ UV_HWADDR: device, IV_HWADDR: "00:01:02:ab:cd:ef" })).toBe("00:01:02:ab:cd:ef");
});

test("without credentials there is neither name nor password; an empty password beside a name is one", () => {
  const read = (variables: Record<string, string>) => {
    const result = readRequest("connect", tunnel, event({ ...usual, ...variables }));
    return "request" in result ? [result.request.username, result.request.password?.reveal()] : result;
  };
  expect(read({ username: "", password: "" })).toEqual([undefined, undefined]);
  expect(read({ password: "" })).toEqual(["alice", ""]);
  expect(read({ username: "" })).toEqual([undefined, "se=cret"]);
});

test.each([
  ["username", Buffer.from([0x61, 0xff])],
  ["username", Buffer.from("a\0b")],
  ["username", Buffer.from([0xed, 0xa0, 0x80])],
  ["password", Buffer.from([0xc0, 0xaf])],
  ["X509_0_CN", Buffer.from([0xfe])],
])("%s that is no text is malformed", (name, value) => {
  expect(readRequest("connect", tunnel, event({ ...usual, [name]: value }))).toEqual({
    malformed: expect.stringContaining(name),
  });
});

test("an event that came incomplete, or from nowhere, is malformed", () => {
  expect(readRequest("connect", tunnel, event(usual, { damaged: true }))).toHaveProperty("malformed");
  expect(readRequest("connect", tunnel, event({ ...usual, untrusted_ip: "nowhere" }))).toHaveProperty("malformed");
});

test("names keep every character, a byte order mark too", () => {
  for (const name of ["\ufeffbom", "Zoë", "e\u0301", "\u{1f600}", "a=b", '"\\$(x)']) {
    const read = readRequest("connect", tunnel, event({ ...usual, username: name }));
    expect("request" in read && read.request.username).toBe(name);
  }
});

test("addresses of IPv6 clients are canonical, those mapped into IPv6 are IPv4", () => {
  const address = (variables: Record<string, string>) => {
    const { untrusted_ip: _, ...others } = usual;
    const read = readRequest("connect", tunnel, event({ ...others, ...variables }));
    return "request" in read ? read.request.clientAddress : read;
  };
  expect(address({ untrusted_ip6: "2001:DB8:0:0::7" })).toBe("2001:db8::7");
  expect(address({ untrusted_ip6: "::ffff:192.0.2.9" })).toBe("192.0.2.9");
});

test("what a client can do is read from what it says of itself", () => {
  expect(readAbilities(event({ IV_PROTO: "990", IV_SSO: "webauth,crtext" }))).toEqual({
    authPendingKeyword: true,
    temporaryRefusal: true,
    textQuestions: true,
    webQuestions: true,
  });
  for (const IV_PROTO of ["2", "", "x", "-1e999"]) {
    expect(readAbilities(event({ IV_PROTO, IV_SSO: "crtextual" }))).toEqual({
      authPendingKeyword: false,
      temporaryRefusal: false,
      textQuestions: false,
      webQuestions: false,
    });
  }
});

test("a session's state is only what OpenVPN vouches for", () => {
  const session = (session_state: string) => {
    const read = readRequest("reauth", tunnel, event({ ...usual, session_id: "s1", session_state }));
    return "request" in read ? read.request.session : read;
  };
  expect(session("Authenticated")).toEqual({ id: "s1", state: "authenticated" });
  expect(session("Initial")).toEqual({ id: "s1", state: "initial" });
  expect(session("AuthenticatedEmptyUser")).toEqual({ id: "s1", state: "invalid" });
  expect(session("Invalid")).toEqual({ id: "s1", state: "invalid" });
});

test("byte counts are read where both are there", () => {
  expect(readCounts(event({ bytes_received: "12", bytes_sent: "34" }))).toEqual({ bytesIn: 12, bytesOut: 34 });
  expect(readCounts(event({ bytes_received: "12" }))).toBe(undefined);
  expect(readCounts(event({ bytes_received: "-1", bytes_sent: "x" }))).toBe(undefined);
});

test("an answer is base64 of text, and bounded", () => {
  const answer = (rest: string) => readAnswer(event({}, { type: "CR_RESPONSE", rest }));
  expect(answer(Buffer.from("Grüße").toString("base64"))).toBe("Grüße");
  expect(answer("")).toBe("");
  expect(answer("not base64!")).toBe(undefined);
  expect(answer("/w==")).toBe(undefined);
  expect(answer("A".repeat(5_000))).toBe(undefined);
});
