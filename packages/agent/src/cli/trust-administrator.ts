import { readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ClientScript, readAgentConfig } from "@sallyport/protocol";
import { describe, hashForm } from "../consent/decide.ts";
import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import { accountNamed } from "../machine/account-name.ts";
import { rootWords } from "../machine/as-root.ts";
import { makeRootDirectory, replaceFile } from "../machine/private-directory.ts";
import { ownPlatform } from "../machine/system.ts";
import { type Policy, readPolicy } from "../service/policy.ts";
import type { Surroundings } from "./surroundings.ts";

type Values = Readonly<Record<string, unknown>>;
type Asked = Awaited<ReturnType<typeof askedOfOwner>>;
/** The policy with one thing changed, and what to tell about it. */
type Change = { policy: Policy; said?: string };

const changes = ["add", "tunnels", "programs-of", "mode", "script", "revoke"] as const;

/** Shows and changes what the machine's owner allows: the policy file of the privileged service. */
export async function administratorTrust(
  values: Values,
  { account, machine, print, tell }: Surroundings,
): Promise<void> {
  if (!account.isRoot)
    throw new AgentFailure("not-permitted", "These are for the machine's owner to give.", rootWords().become);
  if (values.server !== undefined)
    throw new AgentFailure("usage", "--server is a user's.", "The owner's is --add FILE, and --mode trust.");
  let policy = await readPolicy(machine.policy);
  const asked = await askedOfOwner(machine.directory);
  const wanted = changes.filter((option) => typeof values[option] === "string");
  for (const option of wanted) {
    const changed = await change[option](policy, values[option] as string, asked);
    policy = changed.policy;
    if (changed.said !== undefined) tell(changed.said);
  }
  if (wanted.length > 0) {
    await makeRootDirectory(dirname(machine.policy));
    await replaceFile(machine.policy, `${JSON.stringify(policy, null, 2)}\n`, 0o644);
  }
  const allowed = policy.servers.flatMap(({ scripts }) => scripts);
  const answered = asked.filter(({ script }) => allowed.includes(script.sha256));
  for (const { script } of answered) await rm(join(machine.directory, "asked", `${script.sha256}.json`));
  const open = asked.filter((one) => !answered.includes(one));
  print(values.json ? `${JSON.stringify({ policy, asked: open })}\n` : wordsFor(policy, wanted.length > 0 ? [] : open));
}

function wordsFor({ administratorScripts, tunnels, servers, programsOf = [] }: Policy, asked: Asked): string {
  const who = tunnels === "everybody" ? "everybody" : tunnels.join(", ") || `nobody but ${rootWords().root}`;
  const programs = programsOf.length === 0 ? "" : `root runs programs of  ${programsOf.join(", ")}\n`;
  return [
    `administrator scripts  ${administratorScripts}\ntunnels                ${who}\n${programs}`,
    ...servers.map(
      ({ serverId, name, scripts }) =>
        `server                 ${onOneLine(name)}  ${onOneLine(serverId)}  ${scripts.length} scripts allowed\n${scripts.map((hash) => `  ${hash}\n`).join("")}`,
    ),
    ...asked.map(({ script, serverName }) => `\n${onOneLine(serverName)} wants to run\n${describe(script)}\n`),
  ].join("");
}

const change: Readonly<
  Record<(typeof changes)[number], (policy: Policy, value: string, asked: Asked) => Promise<Change>>
> = {
  mode: async (policy, mode) => {
    if (mode !== "never" && mode !== "ask" && mode !== "trust")
      throw new AgentFailure("usage", "--mode is never, ask or trust.");
    const said = mode !== "never" && policy.servers.length === 0 ? "No server is known yet: --add FILE" : undefined;
    return { policy: { ...policy, administratorScripts: mode }, ...(said && { said }) };
  },
  tunnels: async (policy, names) => {
    if (names === "everybody") return { policy: { ...policy, tunnels: names } };
    return { policy: { ...policy, tunnels: await accountsIn(names, ", or everybody") } };
  },
  "programs-of": async (policy, names) => {
    if (ownPlatform() !== "mac") throw new AgentFailure("usage", "--programs-of is for macOS.");
    return { policy: { ...policy, programsOf: await accountsIn(names, "") } };
  },
  add: async (policy, file) => {
    const text = await readFile(file, "utf8").catch(() => {
      throw new AgentFailure("faulty-file", `${file} cannot be read.`);
    });
    const config = readAgentConfig(text);
    if (config === undefined) {
      const next = "Use one that was issued for this server by Sallyport.";
      throw new AgentFailure("faulty-file", `${file} is no client config that names a server for agents.`, next);
    }
    const { serverId, publicKeys, url } = config;
    const present = policy.servers.find((one) => one.serverId === serverId);
    const server = { serverId, name: new URL(url).hostname, publicKeys, scripts: present?.scripts ?? [] };
    const otherKey = present !== undefined && !present.publicKeys.some((key) => publicKeys.includes(key));
    const said =
      "THE SERVER'S KEY IS ANOTHER than before. If nobody told you so, ask its administrator, and until then: ";
    return {
      policy: { ...policy, servers: [...policy.servers.filter((one) => one !== present), server] },
      ...(otherKey && { said: `${said}sallyport-agent trust --administrator --revoke ${serverId}` }),
    };
  },
  script: async (policy, given, asked) => {
    const hash = given.toLowerCase();
    const matches = asked.filter(({ script }) => hashForm.test(hash) && script.sha256.startsWith(hash));
    const [match] = matches;
    const next = "`sallyport-agent trust --administrator` shows what was asked for, with its hash.";
    if (match === undefined)
      throw new AgentFailure("failed", `No script with the hash ${onOneLine(given)} was asked for.`, next);
    if (matches.length > 1)
      throw new AgentFailure("failed", `Several scripts begin with ${onOneLine(given)}: give more of the hash.`, next);
    const { serverId, script } = match;
    if (!policy.servers.some((one) => one.serverId === serverId))
      throw new AgentFailure(
        "failed",
        "The server that asked for it is not known any more.",
        "--add FILE comes first.",
      );
    const servers = policy.servers.map((one) =>
      one.serverId === serverId ? { ...one, scripts: [...new Set([...one.scripts, script.sha256])] } : one,
    );
    return { policy: { ...policy, servers } };
  },
  revoke: async (policy, given) => {
    const isHash = hashForm.test(given.toLowerCase());
    const servers = policy.servers
      .filter(({ serverId, name }) => serverId !== given && name !== given)
      .map((one) => ({
        ...one,
        scripts: one.scripts.filter((hash) => !isHash || !hash.startsWith(given.toLowerCase())),
      }));
    const left = (all: Policy["servers"]) => all.length + all.flatMap(({ scripts }) => scripts).length;
    if (left(servers) === left(policy.servers))
      throw new AgentFailure(
        "failed",
        `Nothing was allowed under ${onOneLine(given)}.`,
        "It takes a hash, or a server's id.",
      );
    return { policy: { ...policy, servers } };
  },
};

async function accountsIn(names: string, more: string): Promise<string[]> {
  const accounts: string[] = [];
  for (const name of names.split(",").filter((one) => one !== "")) {
    const known = await accountNamed(name);
    const next = `Name accounts, with commas between them${more}.`;
    if (known === undefined)
      throw new AgentFailure("usage", `There is no account ${onOneLine(name)} on this machine.`, next);
    accounts.push(known);
  }
  return accounts;
}

/** What users' agents handed to the service and the owner has not allowed. */
async function askedOfOwner(
  directory: string,
): Promise<{ serverId: string; serverName: string; script: ClientScript }[]> {
  const asked = join(directory, "asked");
  const names = (await readdir(asked).catch(() => [])).filter((name) => /^[0-9a-f]{64}\.json$/.test(name));
  return await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(asked, name), "utf8"))));
}
