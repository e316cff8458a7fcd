import { readdir, readFile, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { agentPaths, readAgentConfig, readAppVerify, readTicketEcho, verifyBundle } from "@sallyport/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inlineOf } from "../client-configs/directory.ts";
import { agentRequest } from "./lab/agent-request.ts";
import type { Place } from "./lab/network.ts";
import { interfaceName, startWireGuardClient } from "./lab/wireguard-client.ts";
import { type Client, type Lab, openLab, until } from "./lab.ts";

/*
 * The real daemon, a stock openvpn client with a management socket in place of the agent, and requests out of its
 * tunnel: what the agent builds on.
 */

let lab: Lab;
let ca: string;
let config: string;

const url = "https://198.18.0.1:8443";
const password = "correct horse";
const everybody = ["--default", "--platform", "linux", "--privilege", "user", "--event", "connect"];
const ofEng = ["--group", "eng", "--platform", "linux", "--privilege", "user", "--event", "connect"];
/** What Access Server calls the same. */
const property = "prop_cli.script.linux.user.connect";
/** Puts whoever it is told into the group, and hands something to their script. */
const placing = `
from pyovpn.plugin import *
def post_auth(authcred, attributes, authret, info):
    if attributes.get('client_info', {}).get('UV_GROUP'):
        authret['proplist']['conn_group'] = attributes['client_info']['UV_GROUP']
        authret['proplist']['prop_cli.script_stdin'] = 'for ' + authret['user']
    return authret
`;

beforeAll(async () => {
  const office = {
    id: "office",
    openvpn: { managed: { listen: ["udp/1194"] } },
    ranges: { ipv4: "10.42.0.0/20" },
  };
  const mobile = {
    id: "mobile",
    wireguard: { managed: { interface: interfaceName(), listenPort: 51_820 } },
    ranges: { ipv4: "10.43.0.0/24" },
  };
  const http = { listen: "0.0.0.0:8443", publicUrl: url };
  lab = await openLab({ config: { http, profiles: [office, mobile] } });
  await lab.daemon.start();
  const file = async (name: string, text: string) => {
    const path = join(lab.directory, name);
    await writeFile(path, text);
    return path;
  };
  const inTurn = async (...commands: string[][]) => {
    for (const command of commands) await lab.succeed(command);
  };
  const script = (name: string, text: string) => file(name, `#!/bin/sh\n${text}\n`);
  const [all, eng] = await Promise.all([script("all.sh", "echo all"), script("eng.sh", "echo eng $PLACE")]);
  const gate = await file("placing.py", placing);
  // Starting the command line takes longer than what it does.
  await Promise.all([
    lab.addUser("alice", password),
    inTurn(
      ["group", "add", "eng"],
      ["client-script", "set", ...ofEng, eng],
      ["client-script", "env", ...ofEng, "PLACE", "on two"],
    ),
    inTurn(["post-auth", "add", "placing", gate], ["post-auth", "activate", "placing"]),
    inTurn(
      ["sacli", "--user", "__DEFAULT__", "--key", property, "--value_file", all, "UserPropPut"],
      ["config", "set", "vpn.client.script_reports", "true"],
    ),
    inTurn(["config", "set", "vpn.client.app_verify", "['linux']\nSHELL_APP=^bash$"]),
  ]);
  config = await lab.issue("alice");
  ca = inlineOf(config, "ca");
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

type Connected = { client: Client; ticket: string; connectionId: string; stop(): Promise<void> };

/** A client whose management socket listens to echoes, as an agent's would. */
async function connect(extra: readonly string[] = []): Promise<Connected> {
  const socketPath = join(lab.directory, `management-${Math.random().toString(36).slice(2)}.sock`);
  const client = await lab.client({
    ovpnText: config,
    user: "alice",
    password,
    extra: ["--management", socketPath, "unix", "--management-hold", ...extra],
  });
  await client.sees(/MANAGEMENT: unix domain socket listening/);
  const socket = createConnection(socketPath);
  let heard = "";
  socket.on("error", () => {}).on("data", (data) => (heard += data));
  socket.write("echo on all\nhold release\n");
  await client.connected();
  const ticket = await until("the pushed echo", () =>
    heard
      .split(/\r?\n/)
      .map(readTicketEcho)
      .find((found) => found !== undefined),
  );
  const open = await lab.json<{ id: string }[]>(["connection", "list", "--profile", "office"]);
  // The ticket itself stands in no log, neither the client's nor the server's.
  expect(client.log()).toMatch(echoed);
  expect(client.log() + (await serverLog())).not.toContain(ticket);
  const stop = async () => {
    socket.destroy();
    await client.stop();
    const office = () => lab.json<[]>(["connection", "list", "--profile", "office"]);
    await until("the connection to end", async () => (await office()).length === 0);
  };
  return { client, ticket, connectionId: open[0]?.id ?? "", stop };
}

/** As OpenVPN's log words a pushed echo. */
const echoed = /PUSH_REPLY,.*,echo[,']/;
const serverLog = async () => {
  const listener = join(lab.dataDirectory, "openvpn/office/udp-1194");
  const logs = (await readdir(listener)).filter((name) => name.endsWith(".log"));
  expect(logs).not.toEqual([]);
  return (await Promise.all(logs.map((name) => readFile(join(listener, name), "utf8")))).join("") + lab.daemon.output();
};
const nonce = "n".repeat(22);
const ask = (client: Client, path: string, body: object) =>
  agentRequest(client.place, { to: "10.42.0.1", name: "198.18.0.1", ca, path, body });
const bundleFor = async ({ client, ticket }: Connected, change: object = {}) =>
  ask(client, agentPaths.bundle, { ticket, nonce, platform: "linux", agentVersion: "0.1.0", ...change });
const codeOf = ({ status, text }: { status: number; text: string }) => [status, JSON.parse(text).error?.code];
const trusted = () => {
  const pinned = readAgentConfig(config);
  if (pinned === undefined) throw new Error("the client config pins nothing");
  return { ...pinned, nonce };
};

test("an issued file tells the agent where to ask, what to trust and what to look for, in lines that openvpn takes", () => {
  expect(readAgentConfig(config)).toMatchObject({ url, address: null, caPem: null });
  expect(readAppVerify(config).queries).toEqual([{ platform: "linux", name: "SHELL_APP", regex: "^bash$" }]);
  for (const line of config.split("\n")) expect(Buffer.byteLength(line)).toBeLessThan(255);
});

test("a stock client is pushed a ticket, and exchanges it inside the tunnel, once, for what is meant for it", async () => {
  const first = await connect();
  const answer = await bundleFor(first);
  expect(answer.status).toBe(200);
  const verified = verifyBundle(answer.text, { ...trusted(), ticket: first.ticket });
  if ("fault" in verified) throw new Error(verified.message);
  expect(verified.bundle).toMatchObject({ userId: "alice", profileId: "office", group: null, platform: "linux" });
  expect(verified.bundle).toMatchObject({ connectionId: first.connectionId, stdin: null });
  expect(verified.bundle.scripts.map(({ name, text }) => [name, text])).toEqual([
    ["linux-user-connect", "#!/bin/sh\necho all\n"],
  ]);

  expect(codeOf(await bundleFor(first))).toEqual([409, "ticket-used"]);

  const report = {
    token: verified.bundle.report?.token,
    reports: [
      {
        name: "linux-user-connect",
        event: "connect",
        privilege: "user",
        sha256: verified.bundle.scripts[0]?.sha256,
        outcome: "ran",
        startedAt: new Date().toISOString(),
        durationMs: 12,
        exitCode: 3,
        signal: null,
        detail: null,
        output: "all\n\u001b[31mred\n",
      },
    ],
  };
  expect(JSON.parse((await ask(first.client, agentPaths.output, report)).text)).toEqual({ kept: 1 });
  const shown = await lab.succeed(["connection", "show", first.connectionId]);
  expect(shown).toMatch(/linux-user-connect\s+connect\s+user\s+ran\s+3\s+12 ms/);
  expect(shown).toContain("␛[31mred");
  expect(await lab.succeed(["connection", "log"])).toMatch(/CLIENT SCRIPTS\n.*1 failed/);
  await first.stop();
}, 120_000);

test("the group that a post-auth script chose decides, from the next connect on; what it prepared goes along", async () => {
  const second = await connect(["--setenv", "UV_GROUP", "eng"]);
  const verified = verifyBundle((await bundleFor(second)).text, { ...trusted(), ticket: second.ticket });
  if ("fault" in verified) throw new Error(verified.message);
  expect(verified.bundle).toMatchObject({ group: "eng", stdin: "for alice" });
  expect(verified.bundle.scripts.map(({ name, environment }) => [name, environment])).toEqual([
    ["eng.sh", { PLACE: "on two" }],
  ]);
  await second.stop();
}, 120_000);

test("a WireGuard client asks inside its tunnel for its ticket; nobody else gets one, wherever they ask", async () => {
  const file = await lab.issue("alice", "mobile");
  const pinned = readAgentConfig(file);
  if (pinned === undefined) throw new Error("the file pins nothing");
  expect(pinned).toMatchObject({ url, address: "10.43.0.1", caPem: ca });
  const device = await startWireGuardClient(lab.network, lab.directory, file);
  const asks = (place: Place, path: string, body: object, to = "10.43.0.1") =>
    agentRequest(place, { to, name: "198.18.0.1", ca: pinned.caPem ?? "", path, body });
  try {
    const { ticket } = JSON.parse((await asks(device.place, agentPaths.ticket, {})).text);
    const body = { ticket, nonce, platform: "linux", agentVersion: "0.1.0" };
    const verified = verifyBundle((await asks(device.place, agentPaths.bundle, body)).text, {
      ...pinned,
      ticket,
      nonce,
    });
    if ("fault" in verified) throw new Error(verified.message);
    expect(verified.bundle).toMatchObject({ profileId: "mobile", userId: "alice", platform: "linux" });
    expect(verified.bundle.scripts.map(({ name }) => name)).toEqual(["linux-user-connect"]);
    // The same client outside of its tunnel is a stranger.
    expect(codeOf(await asks(device.place, agentPaths.ticket, {}, "198.18.0.1"))).toEqual([403, "ticket-unknown"]);
  } finally {
    await device.stop();
  }
}, 120_000);

test("a ticket is void once its connection has ended, and a client whose scripts are gone gets none", async () => {
  const third = await connect();
  await third.stop();
  const later = await agentRequest(third.client.place, {
    to: "198.18.0.1",
    name: "198.18.0.1",
    ca,
    path: agentPaths.bundle,
    body: { ticket: third.ticket, nonce, platform: "linux", agentVersion: "0.1.0" },
  });
  expect(codeOf(later)).toEqual([409, "connection-ended"]);

  await lab.succeed(["client-script", "delete", ...everybody]);
  const client = await lab.client({ ovpnText: config, user: "alice", password });
  await client.connected();
  expect(client.log()).toContain("PUSH_REPLY");
  expect(client.log()).not.toMatch(echoed);
}, 120_000);
