import { readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Child } from "../../../server/test/e2e/lab/child.ts";
import { inside, type Place } from "../../../server/test/e2e/lab/network.ts";
import { inParallel, type Lab, openLab, until } from "../../../server/test/e2e/lab.ts";
import { officeAndMobile } from "../e2e/office-and-mobile.ts";
import { installStandIns } from "./stand-in-programs.ts";
import { onDriveZ, openWine, type Wine } from "./wine.ts";

let lab: Lab;
let place: Place;
let wine: Wine;
let programs: Child | undefined;
const password = "correct horse";
/** Of a line without an end, Wine's cmd.exe takes the last character for one. */
const stdin = "for alice.";

beforeAll(async () => {
  lab = await openLab({ config: officeAndMobile("aw") });
  place = await lab.network.client();
  const serverReady = async () => {
    await lab.daemon.start();
    await lab.addUser("alice", password);
    await lab.succeed(["group", "add", "eng"]);
    await lab.succeed(["property", "set", "--user", "alice", "conn_group", "eng"]);
    await lab.succeed(["property", "set", "--user", "alice", "prop_cli.script_stdin", stdin]);
    await lab.succeed(["config", "set", "vpn.client.admin_scripts", "true"]);
    await lab.succeed(["config", "set", "vpn.client.script_reports", "true"]);
    await setScripts();
    for (const profile of ["office", "mobile"] as const)
      await writeFile(join(lab.directory, fileNames[profile]), await lab.issue("alice", profile));
  };
  const windowsReady = async () => {
    wine = await openWine({ inside: (command) => inside(place, command) });
    programs = await installStandIns(wine, place, lab.directory);
  };
  await Promise.all([serverReady(), windowsReady()]);
  const trusted = await wine.agent(["trust", "--administrator", "--add", path("office"), "--mode", "trust"]);
  expect([trusted.status, trusted.said]).toEqual([0, expect.stringContaining("trust")]);
});

afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.kill()));
});

afterAll(async () => {
  await wine?.[Symbol.asyncDispose]();
  await programs?.end("SIGTERM");
  await lab?.[Symbol.asyncDispose]();
});

type Running = Awaited<ReturnType<Wine["startAgent"]>>;
const agents: Running[] = [];

/** `lines` are standard input's, behind the password where it is asked for. */
async function connect(file: string, args: readonly string[], lines: readonly string[]): Promise<Running> {
  const words = ["connect", file, "--user", "alice", "--password-stdin", "--allow-root", ...args];
  const agent = await wine.startAgent(words, { input: lines.map((line) => `${line}\n`).join("") });
  agents.push(agent);
  return agent;
}

const sees = (agent: Running, pattern: RegExp) =>
  until(`${pattern} in what the agent says`, () => agent.output().match(pattern) ?? undefined, {
    deadlineMs: 90_000,
    otherwise: () => `${agent.output()}\nThe programs:\n${programs?.output()}`,
  });

async function ended(agent: Running): Promise<number | null> {
  await until("the agent to end", () => agent.exited() !== undefined, { deadlineMs: 90_000, otherwise: agent.output });
  return agent.exited()?.status ?? null;
}

async function disconnect(agent: Running): Promise<number | null> {
  const run = await wine.agent(["disconnect"]);
  expect(run).toMatchObject({ status: 0, said: expect.stringContaining("disconnected") });
  return await ended(agent);
}

/** Scripts that were done, by what they are called, in order of their ends. */
async function scriptsDone(agent: Running, count: number): Promise<void> {
  await until(`${count} scripts`, () => [...agent.output().matchAll(/^script .*: done\r?$/gm)].length >= count, {
    deadlineMs: 90_000,
    otherwise: agent.output,
  });
}

const record = () => join(wine.drive, "record.txt");

/** Lines that scripts wrote, and none for the next. */
async function recorded(): Promise<string[]> {
  const lines = (await readFile(record(), "utf8").catch(() => "")).split("\r\n").filter(Boolean);
  await writeFile(record(), "");
  return lines;
}

/** For Windows and for Linux, users and administrators; on connect for everybody one in the agent's own Python too. */
async function setScripts(): Promise<void> {
  const facts = "n=%N_RECONNECTS% g=%GRACEFUL_DISCONNECT% ip=%VPN_IP_FOUR% user=%VPN_USER_ID% in=%line%";
  const cells = ["user", "admin"].flatMap((privilege) => [
    { platform: "win", privilege, event: "connect" },
    { platform: "win", privilege, event: "disconnect" },
    { platform: "linux", privilege, event: "connect" },
  ]);
  await inParallel(cells, 2, async ({ platform, privilege, event }) => {
    const label = `${platform} ${privilege} ${event}`;
    const file = join(lab.directory, `${label.replaceAll(" ", "-")}.cmd`);
    await writeFile(file, `@echo off\r\nset /p line=\r\n>>C:\\record.txt echo ${label}: ${facts}\r\n`);
    const scope = ["--platform", platform, "--privilege", privilege, "--event", event];
    await lab.succeed(["client-script", "set", "--group", "eng", ...scope, file]);
  });
  const file = join(lab.directory, "everywhere.py");
  const python = `import os\nf = file("C:\\\\record.txt", "a")\nf.write("%s %s\\r\\n" % (os.name, os.environ["VPN_IP_FOUR"]))\nf.close()\n`;
  await writeFile(file, `#PYTHON\n${python}`);
  await lab.succeed(["client-script", "set", "--default", ...everywhere, file]);
}
const everywhere = ["--platform", "all", "--privilege", "user", "--event", "connect"];

/** What runs of the real programs in the client's network. */
async function tunnelPrograms(): Promise<string[]> {
  const pids = await lab.network.processesIn(place);
  const names = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")));
  return names.map((name) => name.trim()).filter((name) => /^(openvpn|wireguard)/.test(name));
}

/** Files below the account's directory and the machine's: keys and passwords must be gone. */
async function filesLeft(): Promise<string[]> {
  const all = await readdir(wine.drive, { recursive: true });
  return all.filter((one) => /sallyport-agent\/.*(config|password|\.conf|\.owner)$/.test(one));
}

const path = (profile: "office" | "mobile") => onDriveZ(join(lab.directory, fileNames[profile]));
const fileNames = { office: "office.ovpn", mobile: "mobile.conf" };

test("over OpenVPN scripts for Windows run, as the user's and as the administrator's, at each connect and each end", async () => {
  const agent = await connect(path("office"), ["--scripts", "trust"], [password]);
  await sees(agent, /Connected/);
  await scriptsDone(agent, 3);
  const ip = /this machine is (\S+)/.exec(agent.output())?.[1];
  const facts = (n: number, g: number, of = ip) => `n=${n} g=${g} ip=${of} user=alice in=for alice`;
  expect(await recorded()).toEqual([
    `win admin connect: ${facts(0, 0)}`,
    `nt ${ip}`,
    `win user connect: ${facts(0, 0)}`,
  ]);
  const log = await readFile(join(wine.drive, "ProgramData/sallyport-agent/administrator/agent.log"), "utf8");
  // The first port that openvpn was given was taken meanwhile; the second was not.
  expect(log.match(/Socket bind failed|TCP Socket listening on/g)).toEqual([
    "Socket bind failed",
    "TCP Socket listening on",
  ]);
  await lab.succeed(["client-script", "delete", "--default", ...everywhere]);
  await lab.succeed(["connection", "kill", "--user", "alice", "--may-return"]);
  await scriptsDone(agent, 7);
  const [status] = JSON.parse((await wine.agent(["status", "--json"])).stdout.toString());
  expect(status).toMatchObject({ profile: "office.ovpn", state: "connected", reconnects: 1 });
  expect(await disconnect(agent)).toBe(0);
  expect(await recorded()).toEqual([
    `win admin disconnect: ${facts(0, 0)}`,
    `win user disconnect: ${facts(0, 0)}`,
    `win admin connect: ${facts(1, 0, status.ipFour)}`,
    `win user connect: ${facts(1, 0, status.ipFour)}`,
    `win admin disconnect: ${facts(1, 1, status.ipFour)}`,
    `win user disconnect: ${facts(1, 1, status.ipFour)}`,
  ]);
  expect(await tunnelPrograms()).toEqual([]);
  expect(await filesLeft()).toEqual([]);
  const [connection] = await lab.json<{ id: string }[]>(["connection", "log", "--user", "alice"]);
  const shown = await lab.json<{ clientScripts: object[] }>(["connection", "show", connection?.id ?? ""]);
  expect(shown.clientScripts).toHaveLength(4);
});

test("over WireGuard the same; an interface that a killed agent left goes with the next", async () => {
  const args = ["--scripts", "trust", "--silence-seconds", "10"];
  const killed = await connect(path("mobile"), args, []);
  await scriptsDone(killed, 2);
  await killed.kill();
  expect(await tunnelPrograms()).toEqual(["wireguard-go"]);
  await recorded();
  const agent = await connect(path("mobile"), args, []);
  await scriptsDone(agent, 2);
  expect(await tunnelPrograms()).toEqual(["wireguard-go"]);
  const ip = /this machine is (\S+)/.exec(agent.output())?.[1];
  expect(await disconnect(agent)).toBe(0);
  const facts = (g: number) => `n=0 g=${g} ip=${ip} user=alice in=for alice`;
  expect(await recorded()).toEqual([
    `win admin connect: ${facts(0)}`,
    `win user connect: ${facts(0)}`,
    `win admin disconnect: ${facts(1)}`,
    `win user disconnect: ${facts(1)}`,
  ]);
  expect(await tunnelPrograms()).toEqual([]);
  expect(await filesLeft()).toEqual([]);
});

test("what the server asks is asked; what nobody agreed to does not run; openvpn ends with an agent that is killed", async () => {
  const file = join(lab.directory, "ask.py");
  await writeFile(
    file,
    `
from pyovpn.plugin import *
def post_auth_cr(authcred, attributes, authret, info, crstate):
    if crstate.get("asked"):
        if crstate.response() != "42":
            authret["status"] = FAIL
            authret["client_reason"] = "not the answer"
        return authret
    crstate["asked"] = True
    crstate.challenge_post_auth(authret, "What is the answer?", echo=True)
    return authret
`,
  );
  await lab.succeed(["post-auth", "add", "ask", file]);
  await lab.succeed(["post-auth", "activate", "ask"]);
  await recorded();
  const agent = await connect(path("office"), ["--scripts", "ask"], [password, "42"]);
  await sees(agent, /script .*: not run: nobody agreed to it yet/);
  expect((await tunnelPrograms()).toSorted()).toEqual(["openvpn-win", "openvpn.exe"]);
  await agent.kill();
  await until("openvpn to end", async () => (await tunnelPrograms()).length === 0);
  expect((await recorded()).filter((one) => one.startsWith("win user"))).toEqual([]);
  const wrong = await connect(path("office"), ["--scripts", "ask"], [password, "41"]);
  expect([await ended(wrong), wrong.output()]).toEqual([4, expect.stringContaining("not the answer")]);
  // Nor what the killed one left.
  expect(await filesLeft()).toEqual([]);
});

test("for a user who is no administrator the service brings both tunnels up, ends them with the agent, and with itself", async () => {
  await lab.succeed(["post-auth", "remove", "ask"]);
  const program = await wine.bundle(join(import.meta.dirname, "programs/agent-of-a-user.ts"));
  const start = async (words: readonly string[], input = "") => {
    const agent = await wine.start(wine.node, [program, ...words], { input });
    agents.push(agent);
    return agent;
  };
  const asUser = (profile: "office" | "mobile") =>
    start(["connect", path(profile), "--user", "alice", "--password-stdin", "--scripts", "trust"], `${password}\n`);
  const alone = await asUser("office");
  expect([await ended(alone), alone.output()]).toEqual([8, expect.stringContaining("Run as administrator")]);
  expect((await wine.agent(["trust", "--administrator", "--tunnels", "root"])).status).toBe(0);
  const service = await start(["service"]);
  expect([await ended(service), service.output()]).toEqual([8, expect.stringContaining("administrator")]);
  const started = await wine.startAgent(["service"]);
  agents.push(started);
  await sees(started, /listening at/);
  await recorded();
  const agent = await asUser("office");
  await scriptsDone(agent, 2);
  const ip = /this machine is (\S+)/.exec(agent.output())?.[1];
  expect((await wine.run(wine.node, [program, "disconnect"])).status).toBe(0);
  expect(await ended(agent)).toBe(0);
  const facts = (g: number, of = ip) => `n=0 g=${g} ip=${of} user=alice in=for alice`;
  const cells = (g: number, event: string, of = ip) => [
    `win admin ${event}: ${facts(g, of)}`,
    `win user ${event}: ${facts(g, of)}`,
  ];
  expect(await recorded()).toEqual([...cells(0, "connect"), ...cells(1, "disconnect")]);
  expect(await tunnelPrograms()).toEqual([]);

  const killed = await asUser("mobile");
  await scriptsDone(killed, 2);
  await killed.kill();
  // What was the user's died with their agent; the administrator's is the service's.
  const ranAsAdministrator = async () => (await readFile(record(), "utf8")).includes("admin disconnect");
  await until("the administrator's script", ranAsAdministrator, { otherwise: started.output });
  expect((await recorded()).at(-1)).toMatch(/^win admin disconnect: n=0 g=0 ip=10\.43\./);
  await until("the tunnel to go", async () => (await tunnelPrograms()).length === 0, { otherwise: started.output });

  const another = await asUser("office");
  await scriptsDone(another, 2);
  await another.kill();
  // As it was told by the user's part before, it is now told by the service: over its port.
  await sees(started, /signal SIGTERM.*signal SIGTERM/s);
  await until("openvpn to end", async () => (await tunnelPrograms()).length === 0, { otherwise: started.output });
  const last = await asUser("office");
  await sees(last, /Connected/);
  await started.kill();
  expect([await ended(last), last.output()]).toEqual([1, expect.stringContaining("the privileged service is gone")]);
  await until("openvpn to end", async () => (await tunnelPrograms()).length === 0);
});

test("a machine without OpenVPN or WireGuard is told where they are to be had", async () => {
  for (const [profile, directory, words] of [
    ["office", "OpenVPN", "https://openvpn.net"],
    ["mobile", "WireGuard", "https://www.wireguard.com/install"],
  ] as const) {
    await rename(join(wine.drive, "Program Files", directory), join(wine.drive, "Program Files", `no-${directory}`));
    const agent = await connect(path(profile), ["--scripts", "never"], [password]);
    expect([await ended(agent), agent.output()]).toEqual([7, expect.stringContaining(words)]);
  }
});
