import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { listCommand, plainCommand } from "../../../src/drivers/openvpn/commands.ts";
import { ManagementConnection } from "../../../src/drivers/openvpn/management.ts";
import type { Message } from "../../../src/drivers/openvpn/messages.ts";
import { until } from "../../waiting.ts";
import { keepingLog } from "./keeping-log.ts";

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of cleanUp.splice(0).reverse()) await one();
});

/** A socket that says what the test wants, and what was written to it. */
async function openPeer(greeting = ">INFO:hello\r\n") {
  const home = await mkdtemp(join(tmpdir(), "management-"));
  const path = join(home, "s");
  let socket: Socket | undefined;
  let written = "";
  const server = createServer((connected) => {
    socket = connected;
    connected.on("error", () => undefined);
    connected.on("data", (chunk) => {
      written += chunk.toString();
    });
    if (greeting !== "") connected.write(greeting);
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  cleanUp.push(async () => {
    socket?.destroy();
    await new Promise((closed) => server.close(closed));
    await rm(home, { recursive: true });
  });
  return {
    path,
    say: (text: string) => void socket?.write(text),
    end: () => socket?.end(),
    written: () => written,
    wrote: (text: string) => until(`${text} to be written`, () => written.includes(text), { everyMs: 2 }),
  };
}

async function connect(path: string, deadlineMs = 5_000) {
  const messages: Message[] = [];
  const state = { closed: 0 };
  const connection = await ManagementConnection.open({
    socketPath: path,
    deadlineMs,
    onMessage: (message) => messages.push(message),
    onClose: () => {
      state.closed += 1;
    },
    log: keepingLog(),
  });
  cleanUp.push(async () => connection.close());
  return { connection, messages, state };
}

test("replies go to the commands in order, whatever comes in between", async () => {
  const peer = await openPeer();
  const { connection, messages } = await connect(peer.path);
  const replies = connection.send([plainCommand("pid"), listCommand("status", 3), plainCommand("kill", "x")]);
  await peer.wrote("pid\nstatus 3\nkill x\n");
  peer.say(">STATE:1,CONNECTED,SUCCESS\r\nSUCC");
  peer.say("ESS: pid=1\r\n>BYTECOUNT_CLI:1,2,3\r\nTITLE\tx\r\n>LOG:1,I,x\r\nHEADER\ty\r\nEND\r\nERROR: no\r\n");
  expect(await replies).toEqual([
    { ok: true, text: "SUCCESS: pid=1", lines: [] },
    { ok: true, text: "", lines: ["TITLE\tx", "HEADER\ty"] },
    { ok: false, text: "ERROR: no", lines: [] },
  ]);
  expect(messages.map(({ kind }) => kind)).toEqual(["state", "bytecount", "ignored"]);
});

test("the next command goes out when the one before was answered", async () => {
  const peer = await openPeer();
  const { connection } = await connect(peer.path);
  const first = connection.send([plainCommand("first")]);
  const second = connection.send([plainCommand("second")]);
  await peer.wrote("first\n");
  expect(peer.written()).toBe("first\n");
  peer.say("SUCCESS: 1\n");
  await first;
  await peer.wrote("second\n");
  peer.say("SUCCESS: 2\n");
  expect(await second).toMatchObject([{ text: "SUCCESS: 2" }]);
});

test("whoever waits for the first reply alone goes on before what is said after it is told", async () => {
  const peer = await openPeer();
  const { connection, messages } = await connect(peer.path);
  const first = connection.send([plainCommand("a"), plainCommand("b")], { settleAfter: 1 });
  const seen = first.then((replies) => [replies.length, messages.length]);
  await peer.wrote("a\nb\n");
  peer.say("SUCCESS: a\n>STATE:1,CONNECTED,\nSUCCESS: b\n");
  expect(await seen).toEqual([1, 0]);
  await until("the news", () => messages.length === 1);
});

test("a list that is refused is an error and no endless list", async () => {
  const peer = await openPeer();
  const { connection } = await connect(peer.path);
  const reply = connection.send([listCommand("status", 3)]);
  await peer.wrote("status 3\n");
  peer.say("ERROR: The 'status' command is not supported by the current daemon mode\n");
  expect(await reply).toMatchObject([{ ok: false }]);
});

test("a reply that fails to come closes the connection, and everybody who waits is told", async () => {
  const peer = await openPeer();
  const { connection, state } = await connect(peer.path, 1_500);
  const waiting = [connection.send([plainCommand("a")]), connection.send([plainCommand("b")])];
  const outcomes = await Promise.allSettled(waiting);
  expect(outcomes).toMatchObject([
    { status: "rejected", reason: { code: "driver-failed" } },
    { status: "rejected", reason: { code: "driver-failed" } },
  ]);
  expect(state.closed).toBe(1);
  await expect(connection.send([plainCommand("c")])).rejects.toMatchObject({ code: "driver-failed" });
});

test("an OpenVPN that serves somebody else does not greet, which is an error and not a wait", async () => {
  const peer = await openPeer("");
  await expect(connect(peer.path, 100)).rejects.toMatchObject({ code: "driver-failed" });
  await expect(connect(`${peer.path}-none`)).rejects.toMatchObject({ code: "ENOENT" });
});

test("what was said last is handled before the end of the connection is told", async () => {
  const peer = await openPeer();
  const { connection, messages, state } = await connect(peer.path);
  const reply = connection.send([plainCommand("pid")]);
  await peer.wrote("pid\n");
  peer.say("SUCCESS: pid=1\n>STATE:1,EXITING,SIGTERM\n>CLIENT:DISCONNECT,0\n>CLIENT:ENV,END\n");
  peer.end();
  await reply;
  await until("the end", () => state.closed > 0);
  expect(messages.map(({ kind }) => kind)).toEqual(["state", "client"]);
});

test("nothing is handled after the connection was closed from this side", async () => {
  const peer = await openPeer();
  const { connection, messages, state } = await connect(peer.path);
  peer.say(">STATE:1,CONNECTED,\n");
  connection.close();
  await until("the end", () => state.closed > 0);
  expect(messages).toEqual([]);
  expect(state.closed).toBe(1);
});
