import { readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readAgentConfig } from "@sallyport/protocol";
import { describe } from "../consent/decide.ts";
import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import { makeRootDirectory, replaceFile } from "../machine/private-directory.ts";
import { type Policy, readPolicy } from "../service/policy.ts";
import type { Surroundings } from "./commands.ts";
import { askedOfOwner } from "./trust.ts";

/** Shows and changes what the machine's owner allows: the policy file of the privileged service. */
export async function administratorTrust(
  values: Readonly<Record<string, unknown>>,
  { account, machine, print }: Surroundings,
): Promise<void> {
  if (!account.isRoot)
    throw new AgentFailure("not-permitted", "These are for the machine's owner to give.", "Use sudo.");
  const before = await readPolicy(machine.policy);
  const asked = await askedOfOwner(machine.directory);
  const after = await changed(before, values, asked);
  if (after !== before) {
    await makeRootDirectory(dirname(machine.policy));
    await replaceFile(machine.policy, `${JSON.stringify(after, null, 2)}\n`, 0o644);
    if (typeof values.script === "string")
      for (const { script } of asked)
        if (script.sha256.startsWith(values.script))
          await rm(join(machine.directory, "asked", `${script.sha256}.json`));
    return print(`${machine.policy} was changed\n`);
  }
  if (values.json) return print(`${JSON.stringify({ policy: before, asked })}\n`);
  const tunnels = before.tunnels === "everybody" ? "everybody" : before.tunnels.join(", ") || "nobody but root";
  print(`administrator scripts  ${before.administratorScripts}\ntunnels                ${tunnels}\n`);
  for (const { serverId, name, scripts } of before.servers)
    print(`server                 ${onOneLine(name)}  ${onOneLine(serverId)}  ${scripts.length} scripts allowed\n`);
  for (const { script, serverName } of asked) print(`\n${onOneLine(serverName)} wants to run\n${describe(script)}\n`);
}

async function changed(
  policy: Policy,
  values: Readonly<Record<string, unknown>>,
  asked: Awaited<ReturnType<typeof askedOfOwner>>,
): Promise<Policy> {
  let after = policy;
  if (typeof values.mode === "string") {
    const mode = values.mode;
    if (mode !== "never" && mode !== "ask" && mode !== "trust")
      throw new AgentFailure("usage", "--mode is never, ask or trust.");
    after = { ...after, administratorScripts: mode };
  }
  if (typeof values.tunnels === "string") {
    const names = values.tunnels.split(",").filter((name) => name !== "");
    after = { ...after, tunnels: values.tunnels === "everybody" ? "everybody" : names };
  }
  if (typeof values.add === "string") {
    const config = readAgentConfig(await readFile(values.add, "utf8").catch(() => ""));
    if (config === undefined)
      throw new AgentFailure("faulty-file", `${values.add} is no client config that names a server for agents.`);
    const { serverId, publicKeys, url } = config;
    const present = after.servers.find((one) => one.serverId === serverId);
    const server = { serverId, name: new URL(url).hostname, publicKeys, scripts: present?.scripts ?? [] };
    after = { ...after, servers: [...after.servers.filter((one) => one !== present), server] };
  }
  if (typeof values.script === "string") {
    const hash = values.script.toLowerCase();
    const match = asked.find(({ script }) => hash.length >= 8 && script.sha256.startsWith(hash));
    if (match === undefined)
      throw new AgentFailure("failed", `No script with the hash ${onOneLine(hash)} was asked for.`);
    const { serverId, script } = match;
    after = {
      ...after,
      servers: after.servers.map((one) =>
        one.serverId === serverId ? { ...one, scripts: [...new Set([...one.scripts, script.sha256])] } : one,
      ),
    };
  }
  if (typeof values.revoke === "string") {
    const wanted = values.revoke;
    after = {
      ...after,
      servers: after.servers
        .filter(({ serverId, name }) => serverId !== wanted && name !== wanted)
        .map((one) => ({
          ...one,
          scripts: one.scripts.filter((hash) => wanted.length < 8 || !hash.startsWith(wanted)),
        })),
    };
  }
  return after;
}
