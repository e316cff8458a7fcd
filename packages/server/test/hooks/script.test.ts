import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectionEvent } from "@sallyport/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Connection } from "../../src/core/connection.ts";
import { newId } from "../../src/core/id.ts";
import { connectionEvent } from "../../src/hooks/event.ts";
import { node, program } from "./hook.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const never = new AbortController().signal;
const options = { deadlineMs: 20_000, abort: never };

const connection: Connection = {
  id: "session-1",
  userId: "alice",
  profileId: "office",
  nodeNumber: 3,
  listener: "udp/1194",
  protocol: "openvpn",
  connectionId: "laptop-7f",
  tunnelKey: "1/0",
  attemptId: newId(),
  ipv4: "10.42.0.2",
  ipv6: "fd42:1::2",
  originatingIp: "198.51.100.20",
  state: "ended",
  properties: { conn_group: "eng" },
  group: null,
  connectEventId: "event-c",
  disconnectEventId: "event-d",
  reservedAt: "2026-01-02T03:04:04.000Z",
  admittedAt: "2026-01-02T03:04:05.000Z",
  establishedAt: "2026-01-02T03:04:06.500Z",
  expiresAt: null,
  endedAt: "2026-01-02T03:05:06.400Z",
  endReason: "expired",
  endDetail: null,
  bytesIn: 123_456_789_012,
  bytesOut: 0,
};

type Given = { arguments: string[]; environment: Record<string, string>; directory: string; input: string };

async function given(event: ConnectionEvent, changes: Parameters<typeof program>[1] = {}): Promise<Given> {
  const told = await program(join(fixtures, "keep-environment"), changes).tell(event, options);
  expect(told).toMatchObject({ answer: "yes", error: null });
  return JSON.parse(told.output);
}

const connect = (changes: Partial<Connection> = {}) =>
  connectionEvent({
    connection: { ...connection, ...changes },
    event: "connect",
    eventId: "event-c",
    attempt: 1,
    node,
  });
const disconnect = (changes: Partial<Connection> = {}) =>
  connectionEvent({
    connection: { ...connection, ...changes },
    event: "disconnect",
    eventId: "event-d",
    attempt: 4,
    node,
  });

const always = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8", HOME: "/root" };
const ofBoth = {
  VPN_USER_ID: "alice",
  VPN_PROFILE_ID: "office",
  VPN_CONNECTION_ID: "laptop-7f",
  VPN_IP_FOUR: "10.42.0.2",
  VPN_IP_SIX: "fd42:1::2",
  VPN_PROTO: "openvpn",
  VPN_NODE_NUMBER: "3",
  VPN_NODE_URL: "https://vpn.example.org",
  VPN_NODE_HOST_NAME: "vpn.example.org",
  VPN_SESSION_ID: "session-1",
};

describe("a script hook gets these variables and no others", () => {
  it("at a connect", async () => {
    expect((await given(connect())).environment).toEqual({
      ...always,
      ...ofBoth,
      VPN_EVENT: "C",
      VPN_EVENT_ID: "event-c",
      VPN_ATTEMPT: "1",
      VPN_ORIGINATING_IP: "198.51.100.20",
    });
  });

  it("at a disconnect", async () => {
    expect((await given(disconnect())).environment).toEqual({
      ...always,
      ...ofBoth,
      VPN_EVENT: "D",
      VPN_EVENT_ID: "event-d",
      VPN_ATTEMPT: "4",
      VPN_BYTES_IN: "123456789012",
      VPN_BYTES_OUT: "0",
      VPN_DURATION_SECONDS: "59",
      VPN_DISCONNECT_REASON: "expired",
    });
  });

  it("and one without a value is not set, nor is WireGuard's client's address", async () => {
    const { environment } = await given(connect({ ipv4: null, ipv6: null, protocol: "wireguard" }));
    expect(Object.keys(environment)).not.toContain("VPN_IP_FOUR");
    expect(Object.keys(environment)).not.toContain("VPN_IP_SIX");
    expect(Object.keys(environment)).not.toContain("VPN_ORIGINATING_IP");
    expect(environment.VPN_PROTO).toBe("wireguard");
  });

  it("with eduVPN's earliest names beside them where that is asked for", async () => {
    const { environment } = await given(disconnect(), { legacyVariableNames: true });
    const bare = Object.fromEntries(
      Object.entries(environment).filter(([name]) => !/^(VPN_|PATH|LANG|HOME)/.test(name)),
    );
    expect(bare).toEqual({
      EVENT: "D",
      USER_ID: "alice",
      PROFILE_ID: "office",
      CONNECTION_ID: "laptop-7f",
      IP_FOUR: "10.42.0.2",
      IP_SIX: "fd42:1::2",
      PROTO: "openvpn",
      BYTES_IN: "123456789012",
      BYTES_OUT: "0",
    });
  });
});

describe("a script hook", () => {
  it("gets no arguments, its directory, and the same event as JSON", async () => {
    const event = disconnect();
    const { arguments: args, directory, input } = await given(event, { workingDirectory: fixtures });
    expect(args).toEqual([]);
    expect(directory).toBe(fixtures);
    expect(JSON.parse(input)).toEqual(event);
    expect(event).toMatchObject({ event: "D", sessionId: "session-1", bytesIn: 123_456_789_012, durationSeconds: 59 });
  });

  it("has its directory made where there is none, and cannot start without", async () => {
    const parent = await mkdtemp(join(tmpdir(), "script-hook-test-"));
    try {
      const workingDirectory = join(parent, "hooks", "firewall");
      expect(await given(connect(), { workingDirectory })).toMatchObject({ directory: workingDirectory });
      const impossible = program(join(fixtures, "accept"), { workingDirectory: "/dev/null/hooks" });
      expect(await impossible.tell(connect(), options)).toMatchObject({
        answer: "failed",
        failure: "missing",
        error: expect.stringContaining("its working directory /dev/null/hooks is missing"),
      });
    } finally {
      await rm(parent, { recursive: true });
    }
  });

  it.each([
    `O'Brien "the \`Boss\`" $(touch /tmp/never); rm -rf / & | > < * ? \\ ! ~ #`,
    "two\nlines\r\nand\ta tab",
    "Zoë Łukasz 山田太郎 🦊 \u202eevil",
    "-n --help",
    "=",
    " ",
    "\u0001\u001b[31m\u007f",
    "x".repeat(2_000),
  ])("gets a user id unchanged: %j", async (userId) => {
    const { environment, input } = await given(connect({ userId }));
    expect(environment.VPN_USER_ID).toBe(userId);
    expect(JSON.parse(input).userId).toBe(userId);
  });

  it("gets any valid text unchanged", async () => {
    const text = fc.string({ unit: "binary", maxLength: 200 }).filter((value) => !value.includes("\0"));
    await fc.assert(
      fc.asyncProperty(text, text, async (userId, connectionId) => {
        const { environment } = await given(connect({ userId, connectionId }));
        expect([environment.VPN_USER_ID, environment.VPN_CONNECTION_ID]).toEqual([userId, connectionId]);
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it("is not run with what no program can get, and says so", async () => {
    const told = await program(join(fixtures, "accept")).tell(connect({ userId: "a\0b" }), options);
    expect(told).toMatchObject({ answer: "failed", failure: "missing", error: expect.stringContaining("NUL byte") });
  });

  it("that does not say what runs it is run by /bin/sh, as eduVPN has it", async () => {
    const directory = await mkdtemp(join(tmpdir(), "script hook-test-"));
    const path = join(directory, "connect script");
    try {
      await writeFile(path, 'cat\necho "$# $VPN_USER_ID"\n[ "$VPN_EVENT" = D ]\n', { mode: 0o755 });
      const told = await program(path).tell(disconnect({ userId: "O'Brien $(id)" }), options);
      expect(told).toMatchObject({ answer: "yes", output: expect.stringMatching(/^\{.*\}\n0 O'Brien \$\(id\)\n$/) });
      expect(await program(path).tell(connect(), options)).toMatchObject({
        answer: "no",
        error: `${path} ended with exit status 1`,
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it("says yes with exit status 0, no with any other, and nothing by crashing, hanging or missing", async () => {
    const answers = ["accept", "refuse", "crash", "hang", "no-such-file"].map((name) =>
      program(join(fixtures, name)).tell(connect(), { ...options, deadlineMs: name === "hang" ? 1_000 : 20_000 }),
    );
    expect(await Promise.all(answers)).toMatchObject([
      { answer: "yes", failure: null, error: null, output: "welcome\n" },
      { answer: "no", failure: null, error: `${join(fixtures, "refuse")} ended with exit status 1` },
      { answer: "failed", failure: "crashed", error: `${join(fixtures, "crash")} was killed by SIGKILL` },
      { answer: "failed", failure: "timed-out", error: expect.stringContaining("did not end within 1000 ms") },
      { answer: "failed", failure: "missing", error: expect.stringContaining("no-such-file does not exist") },
    ]);
  });
});

describe("an event", () => {
  it("of a connection that was never admitted lasted 0 seconds", () => {
    const rejected = disconnect({ admittedAt: null, establishedAt: null, endReason: "rejected" });
    expect(rejected).toMatchObject({ durationSeconds: 0, disconnectReason: "rejected" });
  });

  it("of a clock that was set back does not last less than nothing", () => {
    expect(disconnect({ endedAt: "2020-01-01T00:00:00.000Z" }).durationSeconds).toBe(0);
  });
});
