import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type PeerCredentialsReader,
  peerCredentialsReader,
  readerByGetpeereid,
} from "../../src/service/peer-credentials.ts";

let directory: string;
let path: string;
let close: () => void;
const arrived: Socket[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "peers-"));
  await chmod(directory, 0o755);
  path = join(directory, "socket");
  const server = createServer((socket) => {
    arrived.push(socket);
    socket.on("error", () => undefined);
    server.emit("arrived", socket);
  });
  await new Promise<void>((listening) => server.listen(path, listening));
  await chmod(path, 0o666);
  close = () => server.close();
  next = async () => (await once(server, "arrived"))[0] as Socket;
});

afterAll(async () => {
  for (const socket of arrived) socket.destroy();
  close();
  await rm(directory, { recursive: true });
});

let next: () => Promise<Socket>;

/** A socket of ours whose other end an account with these numbers has opened, which ends when it is read to. */
async function from(uid: number, gid: number): Promise<Socket> {
  const connecting = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ns.recv(1)";
  const account = ["--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups"];
  const socket = next();
  const child = spawn("setpriv", [...account, "/usr/bin/python3", "-c", connecting, path], { cwd: "/" });
  const [here] = await Promise.all([socket, once(child, "spawn")]);
  return here;
}

// What macOS calls is not at hand, but the same function of Debian's libbsd is, and the same kernel's answer behind it.
test.each([
  ["the socket's option, as on Linux", () => peerCredentialsReader()],
  ["getpeereid, as on macOS", () => readerByGetpeereid("libbsd.so.0")],
] as [string, () => Promise<PeerCredentialsReader>][])(
  "the kernel says who is at the other end, by %s",
  async (_how, made) => {
    const read = await made();
    const [nobody, other] = [await from(65_534, 65_533), await from(4_242, 100)];
    expect([read(nobody), read(other)]).toEqual([
      { uid: 65_534, gid: 65_533 },
      { uid: 4_242, gid: 100 },
    ]);
    const socket = next();
    const own = createConnection(path);
    expect(read(await socket)).toEqual({ uid: process.getuid?.(), gid: process.getgid?.() });
    own.destroy();
    nobody.destroy();
    expect(read(nobody)).toBeUndefined();
  },
);

test("of what is no unix socket nobody knows who is there", async () => {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const here = once(server, "connection");
  const own = createConnection((server.address() as { port: number }).port, "127.0.0.1");
  const [socket] = await here;
  const read = await readerByGetpeereid("libbsd.so.0");
  // Linux answers for TCP too, with nobody's number; never with root's.
  expect(read(socket)?.uid).not.toBe(0);
  own.destroy();
  socket.destroy();
  server.close();
});
