import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PeerChange } from "../../../src/drivers/wireguard/device.ts";
import { keyToHex } from "../../../src/drivers/wireguard/keys.ts";
import { answersAt, createUapiDevice } from "../../../src/drivers/wireguard/uapi-device.ts";
import { addressNumber, keyNumber } from "./arbitraries.ts";

/** A peer in wireguard-go's place that says what it is told to. */
let home: string;
let socketPath: string;
let server: Server;
let heard: string;
let behave: (socket: Socket) => void;
const open = new Set<Socket>();

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "uapi-"));
  socketPath = join(home, "wg.sock");
  heard = "";
  server = createServer((socket) => {
    open.add(socket.on("error", () => undefined));
    socket.on("data", (chunk) => {
      heard += chunk;
    });
    behave(socket);
  });
  server.listen(socketPath);
  await once(server, "listening");
});
afterEach(async () => {
  for (const socket of open) socket.destroy();
  open.clear();
  server.close();
  await rm(home, { recursive: true, force: true });
});

const device = (deadlineMs = 20_000) => createUapiDevice({ socketPath, deadlineMs });
const answerTo = (end: string, answer: string) => (socket: Socket) =>
  void socket.on("data", () => heard.endsWith(end) && socket.write(answer));
const putPeers = (count: number): PeerChange[] =>
  Array.from({ length: count }, (_, index) => ({
    kind: "put",
    publicKey: keyNumber(index),
    presharedKey: null,
    allowedIps: [addressNumber(index)],
  }));

test("an answer that comes byte by byte is read", async () => {
  const text = `listen_port=7\npublic_key=${keyToHex(keyNumber(1))}\nallowed_ip=10.0.0.1/32\nerrno=0\n\n`;
  behave = async (socket) => {
    for (const byte of text) {
      socket.write(byte);
      await new Promise(setImmediate);
    }
  };
  const state = await device().read();
  expect(heard).toBe("get=1\n\n");
  expect(state.listenPort).toBe(7);
  expect(state.peers.get(keyNumber(1))?.allowedIps).toEqual(["10.0.0.1/32"]);
});

test("an error is told by its name", async () => {
  behave = answerTo("\n\n", "errno=-98\n\n");
  await expect(device().write({ listenPort: 51_820 })).rejects.toMatchObject({
    code: "driver-failed",
    message: "wireguard-go refused a change: address already in use (errno -98)",
  });
});

test("an error in the middle of a long write is told, though the rest cannot be written", async () => {
  behave = (socket) => void socket.once("data", () => socket.end("errno=-22\n\n"));
  await expect(device().write({ peers: putPeers(5_000) })).rejects.toMatchObject({
    message: expect.stringContaining("invalid argument (errno -22)"),
  });
});

test("ten thousand peers are one operation, and everything else has its turn meanwhile", async () => {
  behave = answerTo("\n\n", "errno=0\n\n");
  let turns = 0;
  let next: NodeJS.Immediate | undefined;
  const count = () => {
    turns += 1;
    next = setImmediate(count);
  };
  count();
  await device().write({ peers: putPeers(10_000) });
  clearImmediate(next);
  expect(heard.match(/^set=1$/gm)?.length).toBe(1);
  expect(heard.match(/^allowed_ip=/gm)?.length).toBe(10_000);
  // A turn of the event loop for each of its pieces: timers and input are not held up.
  expect(turns).toBeGreaterThan(20);
});

test("nothing is written of a change with a malformed key in it", async () => {
  behave = () => undefined;
  const peers: PeerChange[] = [...putPeers(2), { kind: "remove", publicKey: "x\n\nset=1\nreplace_peers=true" }];
  await expect(device().write({ peers })).rejects.toMatchObject({ code: "invalid-input" });
  expect(heard).toBe("");
});

test("one that says nothing, hangs up or talks nonsense fails within the deadline", async () => {
  behave = () => undefined;
  await expect(device(100).read()).rejects.toThrow("gave no answer within 100 ms");
  behave = (socket) => socket.end("public_key=");
  await expect(device().read()).rejects.toThrow("closed its socket");
  behave = (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
  await expect(device().read()).rejects.toThrow("cannot be read");
});

test("a socket that nobody listens at is told from one that answers", async () => {
  behave = () => undefined;
  expect(await answersAt(socketPath)).toBe(true);
  server.close();
  await expect(device().read()).rejects.toMatchObject({ code: "driver-failed" });
  expect(await answersAt(socketPath)).toBe(false);
  expect(await answersAt(join(home, "none.sock"))).toBe(false);
});
