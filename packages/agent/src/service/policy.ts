import { type Bundle, type ClientScript, verifyBundle } from "@sallyport/protocol";
import { AgentFailure } from "../failure.ts";
import { asRoot } from "../machine/as-root.ts";
import { readOwnFile } from "../machine/private-directory.ts";

/** What the machine's owner allows, in a file that only root may write: on Windows, administrators and the system. */
export type Policy = {
  /** Who may have the service bring tunnels up: account names, or everybody. */
  tunnels: readonly string[] | "everybody";
  /** `ask`: the scripts listed below; `trust`: every script of these servers. */
  administratorScripts: "never" | "ask" | "trust";
  servers: readonly PolicyServer[];
  /** macOS: accounts whose programs root may run, of those that it needs: openvpn and WireGuard of their Homebrew. */
  programsOf?: readonly string[];
};

export type PolicyServer = {
  serverId: string;
  /** For people, and `VPN_SERVER`. */
  name: string;
  publicKeys: readonly string[];
  /** Hashes of the scripts that may run. */
  scripts: readonly string[];
};

/** What the owner says to change it. */
const theirs = (options: string) => `they would: ${asRoot(`sallyport-agent trust --administrator ${options}`)}`;

/** Without a policy nothing is allowed. */
const nothingAllowed: Policy = { tunnels: [], administratorScripts: "never", servers: [] };

const mostBytes = 1024 * 1024;
const keys = ["tunnels", "administratorScripts", "servers", "programsOf"];

/** @throws AgentFailure where the file is not root's alone, or cannot be understood: then nothing is allowed */
export async function readPolicy(path: string): Promise<Policy> {
  const text = await readOwnFile(path, { uid: process.getuid?.() ?? 0, mostBytes });
  if (text === undefined) return nothingAllowed;
  const policy = policyOf(text);
  if (policy !== undefined) return policy;
  throw new AgentFailure(
    "failed",
    `${path} is no policy: it needs tunnels, administratorScripts and servers, and nothing else.`,
    "docs/agent-service.md shows one.",
  );
}

function policyOf(text: string): Policy | undefined {
  let value: Partial<Policy>;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (Object.keys(value).some((key) => !keys.includes(key))) return undefined;
  const policy = { ...nothingAllowed, ...value };
  const { tunnels, administratorScripts, servers, programsOf = [] } = policy;
  const isTextList = (list: unknown) => Array.isArray(list) && list.every((one) => typeof one === "string");
  const whole =
    (tunnels === "everybody" || isTextList(tunnels)) &&
    ["never", "ask", "trust"].includes(administratorScripts) &&
    isTextList(programsOf) &&
    Array.isArray(servers) &&
    servers.every(
      (one) =>
        typeof one?.serverId === "string" &&
        typeof one.name === "string" &&
        isTextList(one.publicKeys) &&
        isTextList(one.scripts),
    );
  return whole ? policy : undefined;
}

/** A signed bundle that the owner's servers made for this machine, at this moment. */
export type OwnersBundle = { bundle: Bundle; server: PolicyServer };

/**
 * Checks a bundle against the owner's keys, not against those that a user names; `nonce` is one that was made here and
 * given out for this bundle alone.
 */
export function checkForOwner(
  policy: Policy,
  offered: { text: string; ticket: string; nonce: string },
): OwnersBundle | { refused: string } {
  if (policy.administratorScripts === "never")
    return { refused: `the machine's owner allows no administrator scripts; ${theirs("--mode ask")}` };
  let refused = `the machine's owner trusts no server; ${theirs("--add FILE")}`;
  for (const server of policy.servers) {
    const checked = verifyBundle(offered.text, { ...server, ticket: offered.ticket, nonce: offered.nonce });
    if ("bundle" in checked) return { bundle: checked.bundle, server };
    refused = `no server that the machine's owner trusts made the bundle for this machine: ${checked.message}`;
  }
  return { refused };
}

/** Undefined: it may run. `server` is what the owner knew when the bundle came; what counts is what they say of it now. */
export function whyNot(policy: Policy, server: PolicyServer, script: ClientScript): string | undefined {
  const { serverId, publicKeys } = server;
  const present = policy.servers.find(
    (one) => one.serverId === serverId && one.publicKeys.some((key) => publicKeys.includes(key)),
  );
  if (policy.administratorScripts === "never" || present === undefined)
    return "the machine's owner does not allow it any more";
  if (policy.administratorScripts === "trust" || present.scripts.includes(script.sha256)) return undefined;
  return `the machine's owner has not allowed it yet: ${asRoot("sallyport-agent trust --administrator")} shows it`;
}
