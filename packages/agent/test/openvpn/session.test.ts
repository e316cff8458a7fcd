import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openBrowser } from "../../src/machine/browser.ts";
import { nameServersIn, runSession } from "../../src/openvpn/session.ts";

/** A management socket at which a test says what openvpn would. */
let directory: string;
let server: Server;
let agents: Socket[];
let heard: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-session-"));
  agents = [];
  heard = "";
  server = createServer((socket) => {
    agents.push(socket);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      heard += chunk;
    });
  });
  await new Promise<void>((listening) => server.listen(join(directory, "m"), listening));
});

afterEach(async () => {
  for (const socket of agents) socket.destroy();
  await new Promise((closed) => server.close(closed));
  await rm(directory, { recursive: true });
});

test("a server that wants the person to sign in elsewhere has the browser opened there, once it is said", async () => {
  const opened = join(directory, "opened");
  await writeFile(join(directory, "xdg-open"), `#!/bin/sh\necho "$@" >>${opened}\n`);
  await chmod(join(directory, "xdg-open"), 0o755);
  const told: string[] = [];
  const exited = Promise.withResolvers<string>();
  const environment = { DISPLAY: ":7", PATH: `${directory}:/usr/bin:/bin` };
  const tunnel = await runSession({
    process: {
      ...{ management: { path: join(directory, "m") }, running: () => true, exited: exited.promise },
      kill: () => exited.resolve(""),
    },
    answers: {
      mayAskAgain: false,
      ...{ user: async () => "alice", password: async () => "secret", answer: async () => "42" },
    },
    events: { up: () => undefined, down: () => undefined, progress: (text) => told.push(text) },
    ...{ serverName: "vpn.example.org", firstAnswerMs: 60_000, onNameServers: () => undefined },
    onSignIn: (url) => openBrowser(url, "linux", environment),
  });
  await expect.poll(() => heard, { timeout: 20_000 }).toContain("hold release");
  const say = (line: string) => agents[0]?.write(`>${line}\r\n`);
  say("PASSWORD:Need 'Auth' username/password");
  await expect.poll(() => heard, { timeout: 20_000 }).toContain('password "Auth" secret');
  say("INFOMSG:WEB_AUTH::file:///etc/passwd");
  say("INFOMSG:WEB_AUTH::https://idp.example.org/login?a=1&b=$(id);2");
  await expect
    .poll(() => readFile(opened, "utf8").catch(() => ""), { timeout: 20_000 })
    .toBe("https://idp.example.org/login?a=1&b=$(id);2\n");
  expect(told).toContain("Sign in with your browser: https://idp.example.org/login?a=1&b=$(id);2");
  exited.resolve("");
  await tunnel.ended;
});

test.each([
  [["dhcp-option DNS 10.0.0.53", "dhcp-option DNS6 fd42::53", "route 10.0.0.0"], ["10.0.0.53", "fd42::53"], []],
  [["dhcp-option DOMAIN corp.example", "dhcp-option DOMAIN-SEARCH lab.example"], [], ["corp.example", "lab.example"]],
  [
    ["dns server 1 address 10.0.0.53 [fd42::53]", "dns search-domains corp.example lab.example"],
    ["10.0.0.53", "fd42::53"],
    ["corp.example", "lab.example"],
  ],
  [["dhcp-option DNS 10.0.0.53 x", "dhcp-option WINS 10.0.0.1"], [], []],
])("of what a server pushes, %j, the name servers are %j and the domains %j", (options, servers, search) => {
  expect(nameServersIn(options)).toEqual({ servers, search });
});
