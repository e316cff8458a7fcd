import { readFile } from "node:fs/promises";
import { type ClientScript, readAgentConfig } from "@sallyport/protocol";
import { describe, hashForm } from "../consent/decide.ts";
import { type SeenScripts, seenScripts } from "../consent/seen.ts";
import { changeConsent, changeServer, readConsent, type ServerConsent, sameServer } from "../consent/store.ts";
import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import type { Surroundings } from "./surroundings.ts";
import { administratorTrust } from "./trust-administrator.ts";

type Values = Readonly<Record<string, unknown>>;

/** Shows what servers want to run here and what was agreed to, and changes that. */
export async function trust(values: Values, around: Surroundings): Promise<void> {
  if (values.administrator) return await administratorTrust(values, around);
  for (const option of ["add", "mode", "tunnels", "programs-of"])
    if (values[option] !== undefined) throw new AgentFailure("usage", `--${option} goes with --administrator.`);
  const { places, print } = around;
  const seen = await seenScripts(places.seen);
  if (typeof values.script === "string") return await allow(values.script, seen, around);
  if (typeof values.server === "string") {
    const server = await serverOf(values.server, seen);
    await changeServer(places.consent, server, (entry) => ({ ...entry, trusted: true }));
    return print(`every script of ${onOneLine(server.name)} (${server.serverId}) will run\n`);
  }
  if (typeof values.revoke === "string") return await revoke(values.revoke, around);
  const consent = await readConsent(places.consent);
  if (values.json) return print(`${JSON.stringify({ servers: consent, seen })}\n`);
  if (seen.length === 0 && consent.length === 0) return print("no server has had scripts for you\n");
  for (const server of seen) {
    const entry = consent.find((one) => sameServer(one, server));
    const all = entry?.trusted ? "trusted: whatever it sends runs" : "asked before each script";
    print(`${onOneLine(server.name)}  server ${server.serverId}  ${all}\n`);
    for (const script of server.scripts) print(`\n${describe(script)}\nagreed   ${stateOf(script, entry)}\n`);
  }
  for (const entry of consent.filter((one) => !seen.some((server) => sameServer(one, server)))) {
    const hashes = Object.entries(entry.scripts).map(([hash, { name }]) => `  ${hash}  ${onOneLine(name)}\n`);
    print(`${onOneLine(entry.name)}  server ${entry.serverId}${entry.trusted ? "  trusted" : ""}\n${hashes.join("")}`);
  }
}

function stateOf(script: ClientScript, entry: ServerConsent | undefined): string {
  if (script.privilege === "admin") return "is for the machine's owner to say";
  const earlier = entry?.scripts[script.sha256];
  if (entry?.trusted || earlier?.allowed) return "yes";
  return earlier === undefined ? "not yet" : "never";
}

async function allow(hash: string, seen: readonly SeenScripts[], { places, print }: Surroundings): Promise<void> {
  const matches = seen.flatMap((server) =>
    server.scripts.filter((one) => one.sha256.startsWith(hash.toLowerCase())).map((script) => ({ server, script })),
  );
  const [match] = matches;
  if (!hashForm.test(hash))
    throw new AgentFailure("usage", `${onOneLine(hash)} is no hash: give 8 of its digits or more.`);
  if (match === undefined)
    throw new AgentFailure(
      "failed",
      `No script with the hash ${onOneLine(hash)} was sent.`,
      "See sallyport-agent trust.",
    );
  if (new Set(matches.map(({ script }) => script.sha256)).size > 1)
    throw new AgentFailure("failed", `Several scripts begin with ${onOneLine(hash)}: give more of the hash.`);
  const { name, sha256 } = match.script;
  const noted = { name, at: new Date().toISOString(), allowed: true };
  await changeServer(places.consent, match.server, (entry) => ({
    ...entry,
    scripts: { ...entry.scripts, [sha256]: noted },
  }));
  print(`${onOneLine(name)} (${sha256}) will run, as long as its text stays the same\n`);
}

/** A server by the id that was shown, or by a client config of it. */
async function serverOf(
  wanted: string,
  seen: readonly SeenScripts[],
): Promise<{ serverId: string; publicKeys: readonly string[]; name: string }> {
  const known = seen.find(({ serverId, name }) => serverId === wanted || name === wanted);
  if (known !== undefined) return known;
  const config = readAgentConfig(await readFile(wanted, "utf8").catch(() => ""));
  if (config !== undefined) return { ...config, name: new URL(config.url).hostname };
  throw new AgentFailure("failed", `${onOneLine(wanted)} is no server that was seen, and no client config.`);
}

async function revoke(wanted: string, { places, print }: Surroundings): Promise<void> {
  let revoked = 0;
  await changeConsent(places.consent, (servers) =>
    servers.flatMap((server) => {
      if (server.serverId === wanted || server.name === wanted) {
        revoked += 1;
        return [];
      }
      const isMeant = (hash: string) => hashForm.test(wanted) && hash.startsWith(wanted.toLowerCase());
      const kept = Object.entries(server.scripts).filter(([hash]) => !isMeant(hash));
      revoked += Object.keys(server.scripts).length - kept.length;
      return [{ ...server, scripts: Object.fromEntries(kept) }];
    }),
  );
  if (revoked === 0) {
    const next = "It takes a hash, or a server's id; `sallyport-agent trust` shows them.";
    throw new AgentFailure("failed", `Nothing was agreed to under ${onOneLine(wanted)}.`, next);
  }
  print("agreed no longer: it will be asked again\n");
}
