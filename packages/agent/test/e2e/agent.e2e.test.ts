import { chmod, chown, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { inlineOf } from "../../../server/test/client-configs/directory.ts";
import { startChild } from "../../../server/test/e2e/lab/child.ts";
import { inside } from "../../../server/test/e2e/lab/network.ts";
import { inParallel, type Lab, openLab, until } from "../../../server/test/e2e/lab.ts";
import { agentProgram, asAccount, endAgents, type LabAgent, startAgent, startService } from "./agent-in-lab.ts";
import { filesOverHttps } from "./files-over-https.ts";
import { officeAndMobile } from "./office-and-mobile.ts";
import { openVpnOn } from "./openvpn-on.ts";

let lab: Lab;
let configs: Record<string, string>;
const password = "correct horse";
const nobody = 65_534;

beforeAll(async () => {
  lab = await openLab({ config: officeAndMobile("ag") });
  await lab.daemon.start();
  for (const user of ["alice", "bob", "carol"]) await lab.addUser(user, password);
  for (const group of ["eng", "ops"]) await lab.succeed(["group", "add", group]);
  await lab.succeed(["config", "set", "vpn.client.admin_scripts", "true"]);
  await lab.succeed(["config", "set", "vpn.client.script_reports", "true"]);
  configs = Object.fromEntries(
    await Promise.all(["alice", "bob", "carol"].map(async (user) => [user, await lab.issue(user)])),
  );
  // What scripts write is read by whoever runs the test; the lab's directory is root's alone.
  await chmod(lab.directory, 0o711);
});

afterEach(endAgents);

afterAll(() => lab?.[Symbol.asyncDispose]());

const record = () => join(lab.directory, "record");

/** Lines that scripts wrote, and an empty record for the next. */
async function recorded(): Promise<string[]> {
  const lines = (await readFile(record(), "utf8").catch(() => "")).split("\n").filter(Boolean);
  await writeFile(record(), "");
  await chmod(record(), 0o666);
  return lines;
}

type Cell = { group: string | undefined; platform: string; privilege: string; event: string };

/** A script that writes its cell and the variables named, with its standard input behind them. */
async function setScript({ group, platform, privilege, event }: Cell, extra = ""): Promise<void> {
  const label = `${group ?? "default"} ${platform} ${privilege} ${event}`;
  const facts = "uid=$(id -u) n=$N_RECONNECTS g=$GRACEFUL_DISCONNECT ip=$VPN_IP_FOUR user=$VPN_USER_ID";
  const file = join(lab.directory, `${label.replaceAll(" ", "-")}.sh`);
  await writeFile(file, `#!/bin/sh\nread stdin\necho "${label}: ${facts} in=$stdin${extra}" >>${record()}\n`);
  const scope = ["--platform", platform, "--privilege", privilege, "--event", event];
  const owner = group === undefined ? ["--default"] : ["--group", group];
  await lab.succeed(["client-script", "set", ...owner, ...scope, file]);
}

/** The owner's files and the service's, for this lab: alice's server is trusted with administrator scripts. */
async function ownersPlace(policy: object): Promise<Record<string, string>> {
  const place = join(lab.directory, "owner");
  await mkdir(place, { recursive: true, mode: 0o755 });
  const line = (word: string) => new RegExp(`^# ${word} (.*)$`, "m").exec(configs.alice ?? "")?.[1] ?? "";
  const server = { serverId: line("SALLYPORT_SERVER_ID"), publicKeys: [line("SALLYPORT_AGENT_KEY")] };
  const servers = [{ ...server, name: "vpn.lab.example", scripts: [] }];
  const text = JSON.stringify({ tunnels: [], administratorScripts: "trust", servers, ...policy });
  await writeFile(join(place, "policy.json"), text, { mode: 0o644 });
  return { SALLYPORT_AGENT_SERVICE: place };
}

type AgentOptions = Partial<Parameters<typeof startAgent>[1]> & { user?: string };

async function agentOf({ user = "alice", args = [], ...options }: AgentOptions = {}): Promise<LabAgent> {
  return await startAgent(lab, {
    config: configs[user] ?? "",
    args: ["--user", user, "--password-stdin", "--allow-root", "--scripts", "trust", ...args],
    input: [password],
    ...options,
  });
}

const lines = (agent: LabAgent, pattern: RegExp) => agent.said().match(pattern)?.length ?? 0;
/** A WireGuard peer that was taken away and is back may be dead for 15 s before it shakes hands. */
const scriptsDone = (agent: LabAgent, count: number) =>
  until(`${count} scripts`, () => lines(agent, /^script .*: done$/gm) >= count, {
    ...{ deadlineMs: 90_000, otherwise: agent.said },
  });

describe("scripts", () => {
  test("are those of the group, the platform, the privilege and the event, in their order", async () => {
    const cellsOf = (platform: string) =>
      ["user", "admin"].flatMap((privilege) =>
        ["connect", "disconnect"].map((event) => {
          return { group: platform === "all" ? undefined : "eng", platform, privilege, event };
        }),
      );
    await inParallel(["all", "linux", "win", "mac"].flatMap(cellsOf), 4, (cell) => setScript(cell));
    await setScript({ group: "ops", platform: "linux", privilege: "user", event: "connect" });
    const environment = await ownersPlace({});
    await recorded();
    const machines = { alice: "linux", bob: "win", carol: "mac" };
    const addresses = await Promise.all(
      Object.entries(machines).map(async ([user, platform]) => {
        await lab.succeed(["property", "set", "--user", user, "conn_group", "eng"]);
        await lab.succeed(["property", "set", "--user", user, "prop_cli.script_stdin", `for ${user}`]);
        const args = platform === "linux" ? [] : ["--openvpn", await openVpnOn(platform, lab.directory)];
        const agent = await agentOf({ user, args, environment });
        await scriptsDone(agent, 4);
        expect(await agent.stop()).toBe(0);
        return /this machine is (\S+)/.exec(agent.said())?.[1];
      }),
    );
    const cells = await recorded();
    for (const [i, [user, platform]] of Object.entries(machines).entries()) {
      const facts = (g: number) => `uid=0 n=0 g=${g} ip=${addresses[i]} user=${user} in=for ${user}`;
      expect(cells.filter((one) => one.includes(`user=${user} `))).toEqual(
        ["connect", "disconnect"].flatMap((event, g) =>
          ["admin", "user"].flatMap((privilege) => [
            `default all ${privilege} ${event}: ${facts(g)}`,
            `eng ${platform} ${privilege} ${event}: ${facts(g)}`,
          ]),
        ),
      );
    }
  });

  test("are in the server's record of the connection, which asked for it", async () => {
    const [connection] = await lab.json<{ id: string }[]>(["connection", "log", "--user", "bob"]);
    const shown = await lab.json<{ clientScripts: object[] }>(["connection", "show", connection?.id ?? ""]);
    const ran = { outcome: "ran", exitCode: 0, output: "" };
    expect(shown.clientScripts).toMatchObject(
      ["connect", "disconnect"].flatMap((event) =>
        ["admin", "admin", "user", "user"].map((privilege) => ({ ...ran, event, privilege })),
      ),
    );
  });

  test("change with the group at the next connect, count the reconnects, and know who wanted the end", async () => {
    // Tries again soon where nobody answers, instead of asking ever more seldom.
    const config = `server-poll-timeout 3\n${configs.alice}`;
    const agent = await agentOf({ config });
    await until("the scripts", async () => (await readFile(record(), "utf8")).includes("eng linux user connect"));
    await recorded();
    const file = join(lab.directory, "regroup.py");
    const regroup = `def post_auth(authcred, attributes, authret, info):\n    authret["proplist"]["conn_group"] = "ops"\n    return authret\n`;
    await writeFile(file, regroup);
    await lab.succeed(["post-auth", "add", "regroup", file]);
    await lab.succeed(["post-auth", "activate", "regroup"]);
    const ran = async (line: string) =>
      await until(line, async () => (await readFile(record(), "utf8")).includes(line), {
        deadlineMs: 90_000,
        otherwise: agent.said,
      });
    await lab.succeed(["connection", "kill", "--user", "alice", "--may-return"]);
    await ran("ops linux user connect: uid=0 n=1");
    await lab.succeed(["post-auth", "remove", "regroup"]);
    expect(await lab.daemon.stop()).toBe(0);
    await agent.sees(/Disconnected: .*Disconnected: /s);
    await lab.daemon.start();
    await ran("eng linux user connect: uid=0 n=2");
    // An administrator's end is none of the user's, and the agent does not come back from it.
    await lab.succeed(["connection", "kill", "--user", "alice"]);
    await until("the agent to end", () => agent.child.exited() !== undefined, { otherwise: agent.said });
    expect(agent.child.exited()?.status).toBe(4);
    const seen = (await recorded()).filter((one) => / linux user /.test(one)).map((one) => one.replace(/ ip=.*/, ""));
    expect(seen).toEqual([
      "eng linux user disconnect: uid=0 n=0 g=0",
      "ops linux user connect: uid=0 n=1 g=0",
      "eng linux user connect: uid=0 n=2 g=0",
      "eng linux user disconnect: uid=0 n=2 g=0",
    ]);
  });

  test("run over WireGuard as over OpenVPN: its ticket is asked for inside the tunnel, silence is its loss", async () => {
    const config = await lab.issue("carol", "mobile");
    await recorded();
    const agent = await agentOf({ user: "carol", config, fileName: "mobile.conf", args: ["--silence-seconds", "10"] });
    await until("the scripts", async () => (await readFile(record(), "utf8")).includes("eng linux user connect"));
    const ip = /this machine is (10\.43\.\S+)/.exec(agent.said())?.[1];
    expect((await recorded()).filter((one) => one.includes(" user connect"))).toEqual([
      `default all user connect: uid=0 n=0 g=0 ip=${ip} user=carol in=for carol`,
      `eng linux user connect: uid=0 n=0 g=0 ip=${ip} user=carol in=for carol`,
    ]);
    await lab.succeed(["connection", "kill", "--user", "carol"]);
    await until("the scripts", async () => (await readFile(record(), "utf8")).includes("eng linux user disconnect"));
    expect((await recorded()).filter((one) => one.includes(" user disconnect"))).toEqual([
      `default all user disconnect: uid=0 n=0 g=0 ip=${ip} user=carol in=for carol`,
      `eng linux user disconnect: uid=0 n=0 g=0 ip=${ip} user=carol in=for carol`,
    ]);
    expect(await agent.stop()).toBe(0);
    await until("nothing of it to run", async () => (await lab.network.processesIn(agent.place)).length === 0);
  });

  test("run as the user who has no rights, and those for administrators as root, through the service", async () => {
    const environment = await ownersPlace({ tunnels: ["nobody"] });
    const place = await lab.network.client();
    const service = await startService(place, environment);
    const directory = join(lab.directory, "of-nobody");
    await mkdir(directory, { mode: 0o700 });
    await chown(directory, nobody, nobody);
    await recorded();
    const checkout = join(lab.directory, "checkout");
    const prefix = await asAccount(nobody, checkout);
    const program = join(checkout, "bin/sallyport-agent");
    const agent = await agentOf({ place, directory, environment, prefix, program });
    await scriptsDone(agent, 4);
    expect(await agent.run(["status"])).toMatchObject({ status: 0, output: expect.stringContaining("connected") });
    const another = await startChild(inside(place, [...prefix, program, "disconnect"]), {
      env: { ...process.env, SALLYPORT_AGENT_DIRECTORY: directory },
    });
    await until("the agent to end", () => agent.child.exited() !== undefined, { otherwise: agent.said });
    await until("the command to end", () => another.exited() !== undefined);
    expect([agent.child.exited()?.status, another.exited()?.status]).toEqual([0, 0]);
    const uids = (await recorded()).map((one) => one.replace(/^\S+ \S+ (\S+ \S+): (uid=\d+).* (g=\d) .*/, "$1 $2 $3"));
    expect(new Set(uids)).toEqual(
      new Set([
        ...["admin connect uid=0 g=0", `user connect uid=${nobody} g=0`],
        ...["admin disconnect uid=0 g=1", `user disconnect uid=${nobody} g=1`],
      ]),
    );
    // The same over WireGuard, and over a restart of the server.
    const config = await lab.issue("carol", "mobile");
    const args = ["--silence-seconds", "10"];
    const options = { place, directory, environment, prefix, program, args, config, fileName: "mobile.conf" };
    const overWireGuard = await agentOf({ user: "carol", ...options });
    await scriptsDone(overWireGuard, 4);
    expect(await lab.daemon.stop()).toBe(0);
    await overWireGuard.sees(/Disconnected: the server fell silent/);
    await scriptsDone(overWireGuard, 8);
    await lab.daemon.start();
    await scriptsDone(overWireGuard, 12);
    expect(await overWireGuard.stop()).toBe(0);
    const facts = (await recorded()).filter((one) => one.startsWith("eng ")).map((one) => one.replace(/ ip=.*/, ""));
    const cells = (event: string, known: string) => [
      `eng linux admin ${event}: uid=0 ${known}`,
      `eng linux user ${event}: uid=${nobody} ${known}`,
    ];
    expect(facts).toEqual([
      ...[...cells("connect", "n=0 g=0"), ...cells("disconnect", "n=0 g=0")],
      ...[...cells("connect", "n=1 g=0"), ...cells("disconnect", "n=1 g=1")],
    ]);
    expect((await lab.network.processesIn(place)).length).toBe(1);
    await service.end("SIGTERM");
    expect(service.exited()?.status).toBe(0);
  });

  test("none run that nobody agreed to; a killed agent leaves neither tunnel nor script", async () => {
    await recorded();
    const agent = await agentOf({ args: ["--scripts", "ask"] });
    await agent.sees(/script .*: not run: nobody agreed to it yet/);
    const shown = await agent.run(["trust"]);
    expect(shown.output).toContain("  | #!/bin/sh");
    const { directory, place } = agent;
    await agent.stop("SIGKILL");
    await until("openvpn to end", async () => (await lab.network.processesIn(place)).length === 0);
    expect(await recorded()).toEqual([]);
    const [, hash = ""] =
      /SHA-256 {2}([0-9a-f]{64})/.exec(shown.output.slice(shown.output.indexOf("as you") - 200)) ?? [];
    expect((await agent.run(["trust", "--script", hash])).status).toBe(0);
    const again = await agentOf({ args: ["--scripts", "ask"], directory, place });
    await again.sees(/script .*: done/);
    await again.stop();
    expect((await recorded()).length).toBeGreaterThan(0);
  });
});

describe("the person is told", () => {
  test("what is wrong, with an exit status of its own", async () => {
    const wrong = await agentOf({ user: "bob", input: ["wrong"] });
    await until("the end", () => wrong.child.exited() !== undefined, { otherwise: wrong.said });
    expect([wrong.child.exited()?.status, wrong.said()]).toEqual([3, expect.stringContaining("password is wrong")]);
    const faulty = await agentOf({ user: "bob", config: "client\nremote \n" });
    await until("the end", () => faulty.child.exited() !== undefined);
    expect([faulty.child.exited()?.status, faulty.said()]).toEqual([6, expect.stringContaining("line 2")]);
    const away = (configs.bob ?? "").replace(/^remote .*$/gm, "remote 198.18.99.99 1194 udp");
    const unreachable = await agentOf({ user: "bob", config: away, args: ["--answer-seconds", "2"] });
    await until("the end", () => unreachable.child.exited() !== undefined);
    expect([unreachable.child.exited()?.status, unreachable.said()]).toEqual([
      5,
      expect.stringContaining("not answer"),
    ]);
  });

  test("what lies at an address, and it connects; or that the server has nothing there", async () => {
    const at = (name: string) => join(lab.directory, name);
    const { url, authority, server } = await filesOverHttps(lab);
    const place = await lab.network.client();
    const connectTo = (address: string, ca: string) =>
      startChild(
        inside(place, [
          ...[agentProgram, "connect", address, "--ca", ca, "--user", "bob", "--password-stdin"],
          ...["--scripts", "never"],
        ]),
        { env: { ...process.env, SALLYPORT_AGENT_DIRECTORY: at("of-address") }, input: `${password}\n` },
      );
    try {
      await writeFile(at("bob.ovpn"), configs.bob ?? "");
      await writeFile(at("server.crt"), inlineOf(configs.bob ?? "", "ca"));
      const connected = await connectTo(`${url}/bob.ovpn`, authority);
      await until("the tunnel", () => connected.output().includes("Connected"), { otherwise: connected.output });
      await connected.end("SIGTERM");
      expect(connected.exited()?.status).toBe(0);
      const nothing = await connectTo("https://198.18.0.1:8443", at("server.crt"));
      await until("the end", () => nothing.exited() !== undefined, { otherwise: nothing.output });
      expect([nothing.exited()?.status, nothing.output()]).toEqual([
        5,
        expect.stringContaining("198.18.0.1:8443 has no client config for you at /rest/GetUserlogin (HTTP status 404)"),
      ]);
    } finally {
      await server.end("SIGTERM");
    }
  });

  test("what the server asks, and the server what the agent knows of its machine", async () => {
    const file = join(lab.directory, "ask.py");
    await writeFile(
      file,
      `
from pyovpn.plugin import *
def post_auth_cr(authcred, attributes, authret, info, crstate):
    if crstate.get("asked"):
        facts = attributes["client_info"]
        names = ["UV_ASCLI_VER", "UV_PLAT_REL", "UV_HWADDR", "IV_GUI_VER", "UV_APPVER_NONE"]
        authret["client_reason"] = " ".join(["%s=%s" % (n, facts.get(n)) for n in names]) + " hw=%s" % authcred.get("client_hw_addr")
        if crstate.response() == "42":
            return authret
        authret["status"] = FAIL
        return authret
    crstate["asked"] = True
    crstate.challenge_post_auth(authret, "What is the answer?", echo=True)
    return authret
`,
    );
    await lab.succeed(["post-auth", "add", "ask", file]);
    await lab.succeed(["post-auth", "activate", "ask"]);
    const right = await agentOf({ user: "bob", input: [password, "42"] });
    await right.sees(/Connected/);
    await right.stop();
    await lab.succeed(["config", "set", "vpn.client.app_verify", "linux:NONE=no such program anywhere"]);
    configs.bob = await lab.issue("bob");
    const wrong = await agentOf({ user: "bob", input: [password, "41"] });
    await until("the end", () => wrong.child.exited() !== undefined, { otherwise: wrong.said });
    expect(wrong.child.exited()?.status).toBe(4);
    const uuid = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
    expect(wrong.said()).toMatch(
      new RegExp(
        `UV_ASCLI_VER=0.1.0 UV_PLAT_REL=\\S+ UV_HWADDR=(${uuid}) IV_GUI_VER=sallyport-agent_0.1.0 UV_APPVER_NONE=ERR_NOT_FOUND hw=\\1`,
      ),
    );
  });
});
