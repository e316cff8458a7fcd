import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bundle, type ClientScript, newSigningKey, sha256, signBundle } from "@sallyport/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connectService } from "../../src/service/client.ts";
import type { Policy } from "../../src/service/policy.ts";
import { serve } from "../../src/service/serve.ts";
import { script, ticket } from "../scripts/pretend-server.ts";

let directory: string;
let service: { close(): Promise<void> };
let said: string[];
const key = newSigningKey();
const clients: ChildProcess[] = [];

const begin = (openVpnProgram?: string) =>
  serve({
    socketPath: socketPath(),
    policyPath: join(directory, "policy.json"),
    directory: join(directory, "state"),
    openVpnProgram,
    connectDeadlineMs: 10_000,
    disconnectDeadlineMs: 10_000,
    log: (text) => said.push(text),
  });

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-service-"));
  await chmod(directory, 0o755);
  said = [];
  service = await begin();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.kill();
  await service.close();
  await rm(directory, { recursive: true });
});

const socketPath = () => join(directory, "run", "service.sock");
const record = () => join(directory, "record");
const recorded = () => readFile(record(), "utf8").catch(() => "");

const server = { serverId: "server-1", name: "vpn.example.org", publicKeys: [key.publicKey], scripts: [] };

async function allow(changes: Partial<Policy>): Promise<void> {
  const policy = { tunnels: [], administratorScripts: "trust", servers: [server], ...changes };
  await rm(join(directory, "policy.json"), { force: true });
  await writeFile(join(directory, "policy.json"), JSON.stringify(policy), { mode: 0o644 });
}

function adminScript(event: "connect" | "disconnect" = "connect", changes: Partial<ClientScript> = {}): ClientScript {
  const text = `#!/bin/sh\necho ${event} $(id -u) $N_RECONNECTS $GRACEFUL_DISCONNECT "$VPN_USER_ID" "$VPN_IP_FOUR" >>${record()}\n`;
  return script({ name: `${event}.sh`, event, privilege: "admin", text, ...changes });
}

function bundleText(nonce: string, changes: Partial<Bundle> = {}, by = key): string {
  const bundle: Bundle = {
    ...{ id: "b", issuedAt: new Date().toISOString(), expiresAt: new Date(Date.now() + 60_000).toISOString() },
    ...{ serverId: "server-1", connectionId: "c", ticketSha256: sha256(ticket), nonce, userId: "alice" },
    ...{ profileId: "office", group: null, platform: "linux", stdin: null, report: null },
    ...{ scripts: [adminScript(), adminScript("disconnect")] },
    ...changes,
  };
  return JSON.stringify(signBundle(bundle, by));
}

const facts = { ipFour: "127.0.0.1", reconnects: 2, graceful: true };

async function client() {
  const connected = await connectService(socketPath());
  if (connected === undefined) throw new Error("nobody listens");
  return connected;
}

test("a directory that others can enter is not used, and another cannot be named", async () => {
  await service.close();
  await chmod(join(directory, "state"), 0o755);
  await expect(begin()).rejects.toMatchObject({
    message: expect.stringContaining("state is not safe to use"),
    next: "Mend its owner and rights.",
  });
  await chmod(join(directory, "state"), 0o700);
  service = await begin();
});

describe("administrator scripts", () => {
  test("run as root on connect and disconnect, once each", async () => {
    await allow({});
    const one = await client();
    const nonce = await one.scripts.nonce();
    expect(await one.scripts.take({ text: bundleText(nonce), ticket, nonce })).toBeUndefined();
    expect(await one.scripts.run("connect", facts)).toMatchObject([{ outcome: "ran", exitCode: 0 }]);
    expect(await one.scripts.run("connect", facts)).toEqual([]);
    await one.scripts.run("disconnect", facts);
    await one.scripts.run("disconnect", facts);
    expect(await recorded()).toBe("connect 0 2 1 alice 127.0.0.1\ndisconnect 0 2 1 alice 127.0.0.1\n");
    one.close();
  });

  test("run on disconnect when the agent is just gone", async () => {
    await allow({});
    const one = await client();
    const nonce = await one.scripts.nonce();
    await one.scripts.take({ text: bundleText(nonce), ticket, nonce });
    await one.scripts.run("connect", facts);
    one.close();
    await service.close();
    expect(await recorded()).toContain("disconnect 0 2 0 alice");
  });

  test("what a user tells of the connection is believed only where this machine bears it out", async () => {
    await allow({});
    const one = await client();
    const nonce = await one.scripts.nonce();
    await one.scripts.take({ text: bundleText(nonce), ticket, nonce });
    await one.scripts.run("connect", { ...facts, ipFour: "203.0.113.77; rm -rf /", reconnects: -5 });
    expect(await recorded()).toBe("connect 0 0 1 alice \n");
    one.close();
  });

  const refusals: [title: string, words: RegExp, offer: (nonce: string) => object][] = [
    ["nobody signed", /not a signed bundle/, (nonce) => ({ text: "{}", ticket, nonce })],
    [
      "somebody else signed",
      /unknown-key|key/,
      (nonce) => ({ text: bundleText(nonce, {}, newSigningKey()), ticket, nonce }),
    ],
    [
      "was made for another machine",
      /not asked for by this machine/,
      () => {
        const nonce = "another-machines-nonce-0123456789";
        return { text: bundleText(nonce), ticket, nonce };
      },
    ],
    ["was made for another request", /another/, (nonce) => ({ text: bundleText("x".repeat(32)), ticket, nonce })],
    ["is of another ticket", /another/, (nonce) => ({ text: bundleText(nonce), ticket: `${ticket}-of-bob`, nonce })],
    [
      "is another server's",
      /other|another/,
      (nonce) => ({ text: bundleText(nonce, { serverId: "server-2" }), ticket, nonce }),
    ],
    [
      "is too old",
      /good from/,
      (nonce) => {
        const long = { issuedAt: "2020-01-01T00:00:00.000Z", expiresAt: "2020-01-01T00:02:00.000Z" };
        return { text: bundleText(nonce, long), ticket, nonce };
      },
    ],
  ];

  test.each(refusals)("never run out of a bundle that %s", async (_title, words, offer) => {
    await allow({});
    const one = await client();
    const taken = await one.scripts.take(offer(await one.scripts.nonce()) as never);
    expect(taken?.refused).toMatch(words);
    expect(await one.scripts.run("connect", facts)).toEqual([]);
    expect(await recorded()).toBe("");
    one.close();
  });

  test("a bundle counts once, and for the agent alone that asked for it", async () => {
    await allow({});
    const [one, other] = [await client(), await client()];
    const nonce = await one.scripts.nonce();
    const offered = { text: bundleText(nonce), ticket, nonce };
    expect(await other.scripts.take(offered)).toMatchObject({ refused: expect.stringContaining("not asked for") });
    expect(await one.scripts.take(offered)).toBeUndefined();
    expect(await one.scripts.take(offered)).toMatchObject({ refused: expect.stringContaining("offered before") });
    one.close();
    other.close();
  });

  test("run only as the owner's policy says, which is asked each time", async () => {
    const one = await client();
    const offer = async () => {
      const nonce = await one.scripts.nonce();
      return await one.scripts.take({ text: bundleText(nonce), ticket, nonce });
    };
    expect((await offer())?.refused).toContain("allows no administrator scripts");
    await allow({ servers: [] });
    expect((await offer())?.refused).toContain("trusts no server");
    await allow({ administratorScripts: "ask" });
    expect(await offer()).toBeUndefined();
    expect(await one.scripts.run("connect", facts)).toMatchObject([{ outcome: "refused" }]);
    const { sha256: hash } = adminScript();
    expect(await readdir(join(directory, "state", "asked"))).toEqual([`${hash}.json`]);
    await allow({ administratorScripts: "ask", servers: [{ ...server, scripts: [hash] }] });
    expect(await offer()).toBeUndefined();
    expect(await one.scripts.run("connect", facts)).toMatchObject([{ outcome: "ran" }]);
    one.close();
  });

  test.each([
    ["the script is revoked", { administratorScripts: "ask", servers: [server] }],
    ["the server is revoked", { administratorScripts: "trust", servers: [] }],
    ["the server's key is another", { servers: [{ ...server, publicKeys: [newSigningKey().publicKey] }] }],
    ["no scripts are to run", { administratorScripts: "never" }],
  ] as [string, Partial<Policy>][])("do not run on disconnect when meanwhile %s", async (_title, changes) => {
    const scripts = [adminScript().sha256, adminScript("disconnect").sha256];
    await allow({ administratorScripts: "ask", servers: [{ ...server, scripts }] });
    const one = await client();
    const nonce = await one.scripts.nonce();
    await one.scripts.take({ text: bundleText(nonce), ticket, nonce });
    expect(await one.scripts.run("connect", facts)).toMatchObject([{ outcome: "ran" }]);
    await allow(changes);
    expect(await one.scripts.run("disconnect", facts)).toMatchObject([{ outcome: "refused" }]);
    expect(await recorded()).not.toContain("disconnect");
    one.close();
  });

  test("a policy that others can write to allows nothing", async () => {
    await allow({});
    await chmod(join(directory, "policy.json"), 0o666);
    const one = await client();
    const nonce = await one.scripts.nonce();
    await expect(one.scripts.take({ text: bundleText(nonce), ticket, nonce })).rejects.toThrow(/somebody else/);
    one.close();
  });

  test.each([
    ["LD_PRELOAD", "/tmp/evil.so"],
    ["BASH_ENV", "/tmp/evil"],
    ["PREPATH", "/tmp"],
    ["PREPATH", "relative"],
  ])("are not run with %s=%s", async (name, value) => {
    await allow({});
    const one = await client();
    const nonce = await one.scripts.nonce();
    const scripts = [adminScript("connect", { environment: { [name]: value } })];
    await one.scripts.take({ text: bundleText(nonce, { scripts }), ticket, nonce });
    const [report] = await one.scripts.run("connect", facts);
    expect(report?.outcome).not.toBe("ran");
    expect(report?.detail).toContain(name);
    expect(await recorded()).toBe("");
    one.close();
  });
});

describe("another account of this machine", () => {
  /** What the service answers a process of the account nobody, line by line. */
  async function asNobody(lines: readonly string[]): Promise<string> {
    const program = [
      "import socket, sys",
      "s = socket.socket(socket.AF_UNIX)",
      "s.settimeout(20)",
      "s.connect(sys.argv[1])",
      "s.sendall(sys.stdin.buffer.read())",
      "answers = b''",
      "while answers.count(b'\\n') < int(sys.argv[2]):",
      "    more = s.recv(65536)",
      "    if not more: break",
      "    answers += more",
      "sys.stdout.buffer.write(answers)",
    ].join("\n");
    const words = ["--reuid", "65534", "--clear-groups", "/usr/bin/python3", "-c", program];
    const child = spawn("setpriv", [...words, socketPath(), `${lines.length}`], { cwd: "/" });
    child.stdin.end(lines.map((line) => `${line}\n`).join(""));
    clients.push(child);
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      output += chunk;
    });
    await once(child, "close");
    return output;
  }

  test("gets no tunnel that the owner did not allow, whatever it says it is", async () => {
    await allow({ tunnels: ["root", "alice"] });
    const request = { do: "start-openvpn", profileText: "remote 127.0.0.1\n<ca>\nx\n</ca>\n", peerInfo: {} };
    const output = await asNobody([JSON.stringify({ ...request, user: "root" })]);
    expect(output).toContain("does not let nobody bring tunnels up");
  });

  test("what openvpn says is in the log with the user's name, a line an entry", async () => {
    await allow({ tunnels: "everybody" });
    await service.close();
    const standIn = join(directory, "openvpn");
    await writeFile(standIn, "#!/bin/sh\nprintf 'on'; sleep 0.1; printf 'e\\n\\ntwo\\n'\n", { mode: 0o755 });
    service = await begin(standIn);
    const profileText = "client\ndev tun\nremote 127.0.0.1 1 udp\n<ca>\nnot a certificate\n</ca>\n";
    const one = await client();
    await (await one.startOpenVpn({ profileText, peerInfo: {} })).exited;
    one.close();
    expect(said.filter((text) => text.startsWith("tunnel of"))).toEqual(["tunnel of root: one", "tunnel of root: two"]);
  });

  test("name servers are set for a tunnel that is up, and for no other", async () => {
    await allow({ tunnels: "everybody" });
    const names = JSON.stringify({ do: "name-servers", servers: ["10.0.0.53", "x; reboot"], search: ["corp.example"] });
    const start = {
      ...{ do: "start-openvpn", peerInfo: {} },
      profileText: "client\ndev tun\nremote 127.0.0.1 1 udp\n<ca>\nnot a certificate\n</ca>\n",
    };
    const faulty = JSON.stringify({ do: "name-servers", servers: "10.0.0.53", search: [] });
    const output = await asNobody([names, faulty]);
    expect(output).toBe('{"set":false}\n{"error":"this is no request of an agent\'s"}\n');
    expect(said.join("\n")).not.toContain("10.0.0.53");
    await service.close();
    const standIn = join(directory, "openvpn");
    await writeFile(standIn, "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
    service = await begin(standIn);
    expect(await asNobody([JSON.stringify(start), names])).toContain('\n{"set":true}\n');
    // Where there is no resolvconf, the log says what was to be set.
    const expected = existsSync("/usr/sbin/resolvconf") ? "brings up" : "the name servers 10.0.0.53 were not set";
    expect(said.join("\n")).toContain(expected);
    expect(said.join("\n")).not.toContain("reboot");
  });

  test.each([
    ["up /tmp/evil"],
    ["script-security 3\nup /tmp/evil"],
    ["plugin /tmp/evil.so"],
    ["log /etc/passwd"],
    ["config /etc/shadow"],
    ["ca /etc/shadow"],
    ["management 0.0.0.0 7505"],
    ["route-up /tmp/evil\ntls-verify /tmp/evil\niproute /tmp/evil\ntmp-dir /etc\nwritepid /etc/cron.d/x"],
  ])("cannot have openvpn do more than connect: %j", async (lines) => {
    await allow({ tunnels: "everybody" });
    const profileText = `client\ndev tun\nremote 127.0.0.1 1 udp\n${lines}\n<ca>\nnot a certificate\n</ca>\n`;
    const started = spawnedConfig(directory);
    const output = await asNobody([JSON.stringify({ do: "start-openvpn", profileText, peerInfo: {} })]);
    expect(output).toMatch(/"management"|exited/);
    const config = await started;
    for (const word of lines.split("\n").map((line) => line.split(" ")[1] ?? "")) {
      if (word.startsWith("/") || word === "0.0.0.0") expect(config).not.toContain(word);
    }
    expect(config).toContain("script-security 1");
  });

  test("cannot tell a line that is no request, and nothing comes of one", async () => {
    await allow({});
    const output = await asNobody(["hello", '{"do":"eval"}', '{"do":"__proto__"}', '{"do":"take"}']);
    expect(output.trim().split("\n")).toEqual(Array(4).fill('{"error":"this is no request of an agent\'s"}'));
  });

  test("cannot take the service's places", async () => {
    for (const path of [join(directory, "run"), join(directory, "state")])
      expect((await stat(path)).mode & 0o022).toBe(0);
  });
});

test("what a killed service left is gone when it starts again: client configs hold keys", async () => {
  const left = join(directory, "state", "tunnels", "999999999-1-abcdef");
  await service.close();
  await mkdir(left, { recursive: true, mode: 0o700 });
  service = await begin();
  await expect(stat(left)).rejects.toThrow("ENOENT");
});

test("one account cannot use up the service's connections", async () => {
  const sockets: Socket[] = [];
  for (let i = 0; i < 6; i += 1) sockets.push(createConnection(socketPath()));
  const closed = await Promise.all(
    sockets.slice(4).map((socket) => new Promise<boolean>((done) => socket.once("close", () => done(true)))),
  );
  expect(closed).toEqual([true, true]);
  for (const socket of sockets) socket.destroy();
  expect(said.join("\n")).toContain("too many connections");
});

/** The configuration that openvpn is given, read as soon as it is there. */
async function spawnedConfig(place: string): Promise<string> {
  const base = join(place, "state", "tunnels");
  await mkdir(base, { recursive: true, mode: 0o700 });
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    for (const name of await readdir(base)) {
      const text = await readFile(join(base, name, "config"), "utf8").catch(() => "");
      if (text.includes("verb 3")) return text;
    }
    await new Promise((next) => setTimeout(next, 2));
  }
  throw new Error("openvpn was given no configuration");
}
