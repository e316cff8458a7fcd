import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type ClientScript, newSigningKey, sha256, signBundle } from "@sallyport/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { commands } from "../../src/cli/commands.ts";
import type { Surroundings } from "../../src/cli/surroundings.ts";
import { rememberScripts } from "../../src/consent/seen.ts";
import { readConsent } from "../../src/consent/store.ts";
import { ownAccount } from "../../src/machine/account.ts";
import { placesIn } from "../../src/machine/places.ts";
import { connectService, type ServiceClient } from "../../src/service/client.ts";
import { serve } from "../../src/service/serve.ts";
import { script, ticket } from "../scripts/pretend-server.ts";

let directory: string;
let told: string[];
const key = newSigningKey();

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-trust-"));
  told = [];
});

afterEach(() => rm(directory, { recursive: true }));

const machine = () => {
  const [policy, socket, state] = ["policy.json", "run/service.sock", "state"].map((name) => join(directory, name));
  return { policy: policy ?? "", socket: socket ?? "", directory: state ?? "" };
};

/** What `sallyport-agent trust` prints. */
async function trust(args: readonly string[], changes: Partial<Surroundings> = {}): Promise<string> {
  let printed = "";
  const around = {
    account: await ownAccount(),
    places: placesIn(join(directory, "own"), "linux"),
    machine: machine(),
    tell: (text: string) => told.push(text),
    print: (text: string) => {
      printed += text;
    },
    ...changes,
  } as Surroundings;
  const command = commands.trust;
  await command?.run(parseArgs({ args: [...args], allowPositionals: true, ...command.options }), around);
  return printed;
}

const owner = (...args: string[]) => trust(["--administrator", ...args]);

async function clientConfig(by = key, serverId = "server-1"): Promise<string> {
  const path = join(directory, "office.ovpn");
  const lines = [`URL https://vpn.example.org:8443`, `KEY ${by.publicKey}`].map((line) => `# SALLYPORT_AGENT_${line}`);
  await writeFile(path, `${lines.join("\n")}\n# SALLYPORT_SERVER_ID ${serverId}\nclient\nremote vpn.example.org\n`);
  return path;
}

describe("the machine's owner", () => {
  let service: { close(): Promise<void> };
  let agent: ServiceClient;
  const wanted = script({ name: "drives.sh", privilege: "admin", text: "#!/bin/sh\necho as $(id -u)\n" });

  beforeEach(async () => {
    service = await serve({
      ...{ socketPath: machine().socket, policyPath: machine().policy, directory: machine().directory },
      ...{ openVpnProgram: undefined, connectDeadlineMs: 10_000, disconnectDeadlineMs: 10_000, log: () => undefined },
    });
    const connected = await connectService(machine().socket);
    if (connected === undefined) throw new Error("nobody listens");
    agent = connected;
  });
  afterEach(async () => {
    agent.close();
    await service.close();
  });

  /** What becomes of the script that the server has for an administrator. */
  async function comesTo(one: ClientScript = wanted): Promise<string | undefined> {
    const nonce = await agent.scripts.nonce();
    const bundle = {
      ...{ id: "b", issuedAt: new Date().toISOString(), expiresAt: new Date(Date.now() + 60_000).toISOString() },
      ...{ serverId: "server-1", connectionId: "c", ticketSha256: sha256(ticket), nonce, userId: "alice" },
      ...{ profileId: "office", group: null, platform: "linux" as const, stdin: null, report: null, scripts: [one] },
    };
    const taken = await agent.scripts.take({ text: JSON.stringify(signBundle(bundle, key)), ticket, nonce });
    if (taken !== undefined) return taken.refused;
    const [report] = await agent.scripts.run("connect", { reconnects: 0, graceful: false });
    return report?.outcome === "ran" ? report.output : (report?.detail ?? undefined);
  }

  test("is shown what is asked for, says yes to it by its hash, and takes that back, each at once", async () => {
    expect(await owner()).toBe("administrator scripts  never\ntunnels                nobody but root\n");
    expect(await comesTo()).toContain("--mode ask");
    await owner("--mode", "ask");
    expect(told).toEqual([expect.stringContaining("--add FILE")]);
    expect(await comesTo()).toContain("--add FILE");
    expect(await owner("--add", await clientConfig())).toContain("vpn.example.org  server-1  0 scripts allowed");
    expect((await stat(machine().policy)).mode & 0o777).toBe(0o644);
    expect(await comesTo()).toContain("has not allowed it yet");

    const shown = await owner();
    expect(shown).toContain("vpn.example.org wants to run");
    expect(shown).toContain(`SHA-256  ${wanted.sha256}`);
    expect(shown).toContain("  | echo as $(id -u)");
    await owner("--script", wanted.sha256.slice(0, 10).toUpperCase());
    expect(await comesTo()).toBe("as 0\n");
    expect(await owner()).not.toContain("wants to run");
    expect(await readdir(join(machine().directory, "asked"))).toEqual([]);
    const changed = script({ name: "drives.sh", privilege: "admin", text: `${wanted.text}# changed\n` });
    expect(await comesTo(changed)).toContain("has not allowed it yet");

    await owner("--revoke", wanted.sha256.slice(0, 8));
    expect(await comesTo()).toContain("has not allowed it yet");
    await owner("--mode", "trust");
    expect(await comesTo(changed)).toBe("as 0\n");
    expect(await owner("--revoke", "vpn.example.org")).not.toContain("server-1");
    expect(await comesTo()).toContain("--add FILE");
  });

  test("is warned where a server that they know comes with another key", async () => {
    await owner("--add", await clientConfig(), "--mode", "trust");
    expect(await comesTo()).toBe("as 0\n");
    expect(told).toEqual([]);
    await owner("--add", await clientConfig(newSigningKey()));
    expect(told).toEqual([expect.stringMatching(/KEY IS ANOTHER.* --revoke server-1$/)]);
    expect(await comesTo()).toContain("no server that the machine's owner trusts made the bundle");
  });

  test("says who may bring tunnels up, by the names of accounts", async () => {
    expect(await owner("--tunnels", "nobody,root")).toContain("nobody, root");
    expect(await owner("--tunnels", "everybody")).toContain("everybody");
    expect(await owner("--tunnels", "")).toContain("nobody but root");
    await expect(owner("--tunnels", "nobody,no-such-account")).rejects.toThrow(/no account no-such-account/);
    expect(JSON.parse(await owner("--json")).policy).toEqual({
      tunnels: [],
      administratorScripts: "never",
      servers: [],
    });
  });

  test("sees and keeps what was said of whose programs root may run", async () => {
    const policy = { tunnels: ["root"], administratorScripts: "never", servers: [], programsOf: ["nobody"] };
    await writeFile(machine().policy, JSON.stringify(policy), { mode: 0o644 });
    expect(await owner("--tunnels", "nobody")).toMatch(/^root runs programs of {2}nobody$/m);
    expect(JSON.parse(await owner("--json")).policy.programsOf).toEqual(["nobody"]);
    await writeFile(machine().policy, JSON.stringify({ ...policy, programsOf: "everybody" }));
    await expect(owner()).rejects.toThrow(/is no policy/);
  });

  test.each([
    [["--script", "0374c382"], /was asked for/],
    [["--revoke", "0374c382"], /Nothing was allowed/],
    [["--mode", "always"], /never, ask or trust/],
    [["--programs-of", "nobody"], /is for macOS/],
    [["--add", "/etc/passwd"], /no client config/],
    [["--add", "/no/such/file"], /cannot be read/],
    [["--server", "vpn.example.org"], /--add FILE|a user's/],
  ])("is told what cannot be done: %j", async (args, words) => {
    await expect(owner(...args)).rejects.toThrow(words);
    await expect(stat(machine().policy)).rejects.toThrow();
  });

  test("is root, and nobody else", async () => {
    const account = { ...(await ownAccount()), isRoot: false };
    await expect(trust(["--administrator", "--mode", "trust"], { account })).rejects.toThrow(/owner to give/);
  });
});

describe("a user", () => {
  const places = () => placesIn(join(directory, "own"), "linux");
  const sent = script({ name: "drives.sh", text: "#!/bin/sh\necho drives\n" });

  beforeEach(() =>
    rememberScripts(places().seen, {
      ...{ serverId: "server-1", name: "vpn.example.org", publicKeys: [key.publicKey] },
      ...{ at: new Date().toISOString(), scripts: [sent] },
    }),
  );

  test("sees what a server sent, agrees to it by its hash, and takes that back", async () => {
    expect(await trust([])).toMatch(/asked before each script\n.*\| echo drives\nagreed {3}not yet\n/s);
    await trust(["--script", sent.sha256.slice(0, 8).toUpperCase()]);
    expect(await trust([])).toContain("agreed   yes");
    await trust(["--revoke", sent.sha256.slice(0, 8).toUpperCase()]);
    expect(await trust([])).toContain("agreed   not yet");
  });

  test("trusts a server by a client config of it, seen or not, and no longer", async () => {
    await trust(["--server", await clientConfig(key, "server-2")]);
    const [entry] = await readConsent(places().consent);
    expect(entry).toMatchObject({ serverId: "server-2", publicKeys: [key.publicKey], trusted: true });
    expect(await trust(["--revoke", "server-2"])).toContain("asked again");
    expect(await readConsent(places().consent)).toEqual([]);
  });

  test.each([
    [["--script", "00000000"], /No script with the hash/],
    [["--script", "0"], /8 of its digits or more/],
    [["--server", "nowhere.example"], /no server that was seen/],
    [["--revoke", "00000000"], /Nothing was agreed to/],
    [["--mode", "trust"], /goes with --administrator/],
    [["drives.sh"], /no further words/],
  ])("is told what cannot be done: %j", async (args, words) => {
    await expect(trust(args)).rejects.toThrow(words);
    expect(await readConsent(places().consent)).toEqual([]);
  });
});
