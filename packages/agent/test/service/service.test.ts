import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ServiceAtWork, serviceAtWork } from "./service-at-work.ts";

const clients: ChildProcess[] = [];
let service: ServiceAtWork;

beforeEach(async () => {
  service = await serviceAtWork();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.kill();
  await service[Symbol.asyncDispose]();
});

test("a directory that others can enter is not used, and another cannot be named", async () => {
  await service.end();
  await chmod(join(service.directory, "state"), 0o755);
  await expect(service.begin()).rejects.toMatchObject({
    message: expect.stringContaining("state is not safe to use"),
    next: "Mend its owner and rights.",
  });
  await chmod(join(service.directory, "state"), 0o700);
  await service.begin();
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
    const child = spawn("setpriv", [...words, service.socketPath, `${lines.length}`], { cwd: "/" });
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
    await service.allow({ tunnels: ["root", "alice"] });
    const request = { do: "start-openvpn", profileText: "remote 127.0.0.1\n<ca>\nx\n</ca>\n", peerInfo: {} };
    const output = await asNobody([JSON.stringify({ ...request, user: "root" })]);
    expect(output).toContain("does not let nobody bring tunnels up");
  });

  test("what openvpn says is in the log with the user's name, a line an entry", async () => {
    await service.allow({ tunnels: "everybody" });
    await service.end();
    const standIn = join(service.directory, "openvpn");
    await writeFile(standIn, "#!/bin/sh\nprintf 'on'; sleep 0.1; printf 'e\\n\\ntwo\\n'\n", { mode: 0o755 });
    await service.begin(standIn);
    const profileText = "client\ndev tun\nremote 127.0.0.1 1 udp\n<ca>\nnot a certificate\n</ca>\n";
    const one = await service.client();
    await (await one.startOpenVpn({ profileText, peerInfo: {} })).exited;
    one.close();
    expect(service.said.filter((text) => text.startsWith("tunnel of"))).toEqual([
      "tunnel of root: one",
      "tunnel of root: two",
    ]);
  });

  test("name servers are set for a tunnel that is up, and for no other", async () => {
    await service.allow({ tunnels: "everybody" });
    const names = JSON.stringify({ do: "name-servers", servers: ["10.0.0.53", "x; reboot"], search: ["corp.example"] });
    const start = {
      ...{ do: "start-openvpn", peerInfo: {} },
      profileText: "client\ndev tun\nremote 127.0.0.1 1 udp\n<ca>\nnot a certificate\n</ca>\n",
    };
    const faulty = JSON.stringify({ do: "name-servers", servers: "10.0.0.53", search: [] });
    const output = await asNobody([names, faulty]);
    expect(output).toBe('{"set":false}\n{"error":"this is no request of an agent\'s"}\n');
    expect(service.said.join("\n")).not.toContain("10.0.0.53");
    await service.end();
    const standIn = join(service.directory, "openvpn");
    await writeFile(standIn, "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
    await service.begin(standIn);
    expect(await asNobody([JSON.stringify(start), names])).toContain('\n{"set":true}\n');
    // Where there is no resolvconf, the log says what was to be set.
    const expected = existsSync("/usr/sbin/resolvconf") ? "brings up" : "the name servers 10.0.0.53 were not set";
    expect(service.said.join("\n")).toContain(expected);
    expect(service.said.join("\n")).not.toContain("reboot");
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
    await service.allow({ tunnels: "everybody" });
    const profileText = `client\ndev tun\nremote 127.0.0.1 1 udp\n${lines}\n<ca>\nnot a certificate\n</ca>\n`;
    const started = spawnedConfig(service.directory);
    const output = await asNobody([JSON.stringify({ do: "start-openvpn", profileText, peerInfo: {} })]);
    expect(output).toMatch(/"management"|exited/);
    const config = await started;
    for (const word of lines.split("\n").map((line) => line.split(" ")[1] ?? "")) {
      if (word.startsWith("/") || word === "0.0.0.0") expect(config).not.toContain(word);
    }
    expect(config).toContain("script-security 1");
  });

  test("cannot tell a line that is no request, and nothing comes of one", async () => {
    await service.allow({});
    const output = await asNobody(["hello", '{"do":"eval"}', '{"do":"__proto__"}', '{"do":"take"}']);
    expect(output.trim().split("\n")).toEqual(Array(4).fill('{"error":"this is no request of an agent\'s"}'));
  });

  test("cannot take the service's places", async () => {
    for (const path of [join(service.directory, "run"), join(service.directory, "state")])
      expect((await stat(path)).mode & 0o022).toBe(0);
  });
});

test("what a killed service left is gone when it starts again: client configs hold keys", async () => {
  const left = join(service.directory, "state", "tunnels", "999999999-1-abcdef");
  await service.end();
  await mkdir(left, { recursive: true, mode: 0o700 });
  await service.begin();
  await expect(stat(left)).rejects.toThrow("ENOENT");
});

test("one account cannot use up the service's connections", async () => {
  const sockets: Socket[] = [];
  for (let i = 0; i < 6; i += 1) sockets.push(createConnection(service.socketPath));
  const closed = await Promise.all(
    sockets.slice(4).map((socket) => new Promise<boolean>((done) => socket.once("close", () => done(true)))),
  );
  expect(closed).toEqual([true, true]);
  for (const socket of sockets) socket.destroy();
  expect(service.said.join("\n")).toContain("too many connections");
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
