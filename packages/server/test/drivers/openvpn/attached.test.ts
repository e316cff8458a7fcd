import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Secret } from "../../../src/core/secret.ts";
import { createOpenVpnDriver, type OpenVpnDriver } from "../../../src/drivers/openvpn/openvpn-driver.ts";
import { signIn } from "../../../src/drivers/openvpn/sign-in.ts";
import { until } from "../../waiting.ts";
import { keepingLog } from "./keeping-log.ts";
import { admissionOf } from "./lab.ts";
import { createRecorder, type Recorder } from "./recorder.ts";

let home: string;
let server: Server | undefined;
let driver: OpenVpnDriver | undefined;
const sockets = new Set<Socket>();

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "attached-"));
});

afterEach(async () => {
  await driver?.stop("leave");
  for (const socket of sockets) socket.destroy();
  server?.close();
  server = undefined;
  driver = undefined;
  await rm(home, { recursive: true, force: true });
});

const path = () => join(home, "m.sock");

/** Somebody at a socket; `hear` is given each connection. */
async function listen(hear: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => {
    sockets.add(socket);
    hear(socket);
  });
  await new Promise<void>((listening) => server?.listen(path(), listening));
}

const clientList =
  "HEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tConnected Since\tConnected Since (time_t)\tUsername\tClient ID\tPeer ID\tData Channel Cipher";

/** An OpenVPN of some version: what it hears is kept. `clients` are lines of its list. */
async function playServer(version: string, clients: readonly string[] = []) {
  const heard: string[] = [];
  let present: Socket | undefined;
  const lists: Record<string, readonly string[]> = {
    version: [`OpenVPN Version: OpenVPN ${version} x86_64-pc-linux-gnu`, "Management Version: 3"],
    state: ["1700000000,CONNECTED,SUCCESS,10.42.0.1,,,,"],
    "status 3": [clientList, ...clients],
  };
  await listen((socket) => {
    present = socket;
    socket.write(">INFO:OpenVPN Management Interface Version 3 -- type 'help' for more info\r\n");
    let block = false;
    socket.on("data", (chunk) => {
      for (const line of chunk.toString().split("\n").filter(Boolean)) {
        heard.push(line);
        const list = lists[line];
        if (block) block = line !== "END";
        else block = line.startsWith("client-auth ");
        if (block) continue;
        if (list !== undefined) socket.write([...list, "END", ""].join("\r\n"));
        else socket.write(line === "pid" ? "SUCCESS: pid=1\r\n" : "SUCCESS: done\r\n");
      }
    });
  });
  return { heard, say: (lines: readonly string[]) => void present?.write(lines.map((line) => `${line}\r\n`).join("")) };
}

async function attachTo(): Promise<Recorder> {
  const told = createRecorder();
  const listener = {
    profileId: "office",
    listener: `unix:${path()}`,
    management: { role: "connect", at: { path: path() } },
    passwordFile: undefined,
    stateFile: join(home, "state", "attached"),
    wakeUp: true,
  } as const;
  driver = createOpenVpnDriver({ listeners: [listener], log: keepingLog() });
  await driver.start(told.events);
  return told;
}

const knocking = (cid: number) => [
  `>CLIENT:CONNECT,${cid},1`,
  ...[
    "username=alice",
    "password=pw",
    "untrusted_ip=192.0.2.7",
    "untrusted_port=4000",
    "IV_SSO=crtext",
    "IV_PROTO=990",
  ].map((variable) => `>CLIENT:ENV,${variable}`),
  ">CLIENT:ENV,END",
];

test.each([
  ["2.5.9", false],
  ["2.6.14", true],
])("OpenVPN %s is told what it understands", async (version, pendingAuth) => {
  const { heard, say } = await playServer(version);
  const told = await attachTo();
  expect(driver?.listeners()).toMatchObject([{ ours: false, server: { pid: 1, version } }]);
  say(knocking(0));
  const { tunnel } = await told.nthAsked(1);
  await driver?.announceWait(tunnel, 300_000);
  await driver?.admit(tunnel, admissionOf(1));
  say(knocking(1));
  const question = { stateId: "s", userName: "alice", text: "PIN?", echo: false, responseRequired: true, waitMs: 1000 };
  await driver?.challenge((await told.nthAsked(2)).tunnel, question);
  const commands = heard.filter((line) => line.startsWith("client-"));
  expect(commands.some((line) => line.startsWith("client-auth 0 1"))).toBe(true);
  expect(commands.some((line) => line.startsWith("client-pending-auth"))).toBe(pendingAuth);
  expect(commands.some((line) => /^client-deny 1 1 .*CRV1:R:s:/.test(line))).toBe(!pendingAuth);
  // What another server does when it restarts itself is not for us to change.
  expect(heard).not.toContain("hold off");
});

test("a server is released whenever it is held", async () => {
  const { heard, say } = await playServer("2.6.14");
  await attachTo();
  const releases = () => heard.filter((line) => line === "hold release").length;
  expect(releases()).toBe(1);
  say([">HOLD:Waiting for hold release:0"]);
  await until("the second release", () => releases() === 2);
});

test("a name that is the user's, or none, is not taken for a certificate's", async () => {
  const row = (name: string, user: string, n: number) =>
    `CLIENT_LIST\t${name}\t192.0.2.2:5232${n}\t10.42.0.${n}\t\t1\t1\tx\t1\t${user}\t${n}\t0\tx`;
  await playServer("2.6.14", [row("laptop", "alice", 2), row("bob", "bob", 3), row("UNDEF", "carol", 4)]);
  const told = await attachTo();
  expect(told.attached[0]?.tunnels.map(({ commonName, ipv4 }) => [commonName, ipv4])).toEqual([
    ["laptop", "10.42.0.2"],
    [undefined, "10.42.0.3"],
    [undefined, "10.42.0.4"],
  ]);
});

test("it is the same server only while neither its process nor its run has changed", async () => {
  await playServer("2.6.14");
  expect((await attachTo()).attached[0]?.sameDaemon).toBe(false);
  await driver?.stop("leave");
  expect((await attachTo()).attached[0]?.sameDaemon).toBe(true);
  await driver?.stop("leave");
  const mark = join(home, "state", "attached");
  await writeFile(mark, (await readFile(mark, "utf8")).replace("1700000000", "1600000000"));
  expect((await attachTo()).attached[0]?.sameDaemon).toBe(false);
});

test("nobody at the socket is no hindrance to a start, and is tried again", async () => {
  const told = await attachTo();
  expect(driver?.listeners()).toMatchObject([{ server: undefined, failure: expect.stringContaining("ENOENT") }]);
  await playServer("2.6.14");
  await told.nthAttached(1);
});

/** Signs in to somebody who says `pieces`, each when the one before was answered or a moment has passed. */
async function signInTo(first: readonly string[], answer: string, password: string | undefined) {
  const heard: string[] = [];
  await listen((socket) => {
    for (const piece of first) socket.write(piece);
    socket.on("data", (chunk) => {
      heard.push(chunk.toString());
      socket.write(answer);
    });
  });
  const socket = createConnection(path());
  sockets.add(socket);
  await new Promise((connected) => socket.once("connect", connected));
  const secret = password === undefined ? undefined : new Secret(password);
  await signIn(socket, { password: secret, deadlineMs: 5_000, name: "the socket" });
  const left = await new Promise<string>((got) => {
    socket.once("data", (chunk) => got(chunk.toString()));
    socket.resume();
  });
  return { heard, left };
}

test("a password is given where it is asked for, and what follows is left in the socket", async () => {
  const answer = "SUCCESS: password is correct\r\n>INFO:hello\r\n";
  expect(await signInTo(["ENTER PASS", "WORD:"], answer, "s3 cret")).toEqual({
    heard: ["s3 cret\n"],
    left: ">INFO:hello\r\n",
  });
});

test("a password that nobody asks for is kept", async () => {
  expect(await signInTo([">INFO:hello\r\n"], "", "s3cret")).toEqual({ heard: [], left: ">INFO:hello\r\n" });
});

test.each([
  ["a wrong password", "no", /does not accept the password/],
  ["a missing password", undefined, /asks for a password: set passwordFile/],
])("%s is told apart", async (_what, password, message) => {
  await expect(signInTo(["ENTER PASSWORD:"], "ERROR: bad password\r\nENTER PASSWORD:", password)).rejects.toThrow(
    message,
  );
});
