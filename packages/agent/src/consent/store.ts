import { dirname } from "node:path";
import { type TrustedKeys, verifyBundle } from "@sallyport/protocol";
import { AgentFailure } from "../failure.ts";
import { makePrivateDirectory, readOwnFile, replaceFile } from "../machine/private-directory.ts";
import type { FetchedBundle } from "../server/fetch-bundle.ts";

/** What an account agreed to, of one server. It holds for these keys, and for keys that they announced. */
export type ServerConsent = {
  serverId: string;
  /** As the client config named it, for people. */
  name: string;
  publicKeys: readonly string[];
  /** Every script of this server runs, changed or not. */
  trusted: boolean;
  /** By hash. */
  scripts: Readonly<Record<string, { name: string; at: string; allowed: boolean }>>;
};

const mostBytes = 4 * 1024 * 1024;

/** What was agreed to so far. @throws AgentFailure where somebody else may have written it, or it cannot be read */
export async function readConsent(path: string): Promise<ServerConsent[]> {
  const text = await readOwnFile(path, { uid: process.getuid?.() ?? 0, mostBytes });
  if (text === undefined) return [];
  const read = parsed(text) as { servers?: unknown } | undefined;
  if (Array.isArray(read?.servers) && read.servers.every(isServerConsent)) return read.servers;
  throw new AgentFailure("failed", `${path} cannot be read.`, "Delete it: everything is then asked again.");
}

/** Reads, changes and writes what was agreed to. */
export async function changeConsent(
  path: string,
  change: (servers: readonly ServerConsent[]) => readonly ServerConsent[],
): Promise<void> {
  await makePrivateDirectory(dirname(path));
  const servers = change(await readConsent(path));
  await replaceFile(path, `${JSON.stringify({ servers }, null, 2)}\n`);
}

/** The entry of this server with these keys, made new where there is none, put through `change`. */
export async function changeServer(
  path: string,
  server: TrustedKeys & { name: string },
  change: (entry: ServerConsent) => ServerConsent,
): Promise<void> {
  await changeConsent(path, (servers) => {
    const present = servers.find((one) => sameServer(one, server));
    const { serverId, publicKeys, name } = server;
    const entry = change({ ...(present ?? { serverId, publicKeys, trusted: false, scripts: {} }), name });
    return [...servers.filter((one) => one !== present), entry];
  });
}

export function sameServer(one: TrustedKeys, other: TrustedKeys): boolean {
  return one.serverId === other.serverId && one.publicKeys.some((key) => other.publicKeys.includes(key));
}

/**
 * The entry that counts for a bundle: the bundle is signed by a key that was agreed to, or one that such a key announced.
 * `changedKey` where the server is known under other keys only.
 */
export function consentFor(
  servers: readonly ServerConsent[],
  fetched: FetchedBundle,
): { entry: ServerConsent | undefined; changedKey: boolean } {
  const { text, ticket, nonce, bundle } = fetched;
  const ofServer = servers.filter((one) => one.serverId === bundle.serverId);
  // It was in time when it came; consent may be given later.
  const now = new Date(bundle.issuedAt);
  const entry = ofServer.find((one) => "bundle" in verifyBundle(text, { ...one, ticket, nonce, now }));
  return { entry, changedKey: entry === undefined && ofServer.length > 0 };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isServerConsent(value: unknown): value is ServerConsent {
  if (typeof value !== "object" || value === null) return false;
  const { serverId, name, publicKeys, trusted, scripts } = value as ServerConsent;
  return (
    typeof serverId === "string" &&
    typeof name === "string" &&
    Array.isArray(publicKeys) &&
    publicKeys.every((key) => typeof key === "string") &&
    typeof trusted === "boolean" &&
    typeof scripts === "object" &&
    scripts !== null
  );
}
