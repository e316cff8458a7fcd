import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import {
  type AgentConfig,
  agentPaths,
  type Bundle,
  type BundleRequest,
  isTicket,
  mostBundleBytes,
  type OutputRequest,
  type TicketAnswer,
  verifyBundle,
} from "@sallyport/protocol";
import type { Platform } from "../interpreter/machine.ts";
import { version } from "../machine/version.ts";
import { askServer } from "./ask-server.ts";

/** A bundle that was checked, and what it was checked with, for whoever has to check it again. */
export type FetchedBundle = { bundle: Bundle; keyId: string; text: string; ticket: string; nonce: string };

const deadlineMs = 10_000;
const reportDeadlineMs = 5_000;
/** The tunnel may be some seconds younger than its routes. */
const mostTries = 4;
const notYet = ["ECONNREFUSED", "ECONNRESET", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"];
const mostSmallBytes = 64 * 1024;

/** WireGuard's ticket; null where there are no scripts for this connection. */
export async function fetchTicket(config: AgentConfig, signal: AbortSignal): Promise<string | null> {
  const text = await askPatiently({ config, path: agentPaths.ticket, body: {}, mostBytes: mostSmallBytes, signal });
  const { ticket } = JSON.parse(text) as TicketAnswer;
  if (ticket !== null && !isTicket(ticket)) throw new Error("the server's answer holds no ticket");
  return ticket;
}

export function newNonce(): string {
  return randomBytes(24).toString("base64url");
}

/**
 * Exchanges a ticket for the bundle of this connection and checks it: signature, server, connection, time, hashes.
 * @throws Error with one line that says why nothing may be run
 */
export async function fetchBundle(options: {
  config: AgentConfig;
  ticket: string;
  /** The privileged service's, where it is to check the same bundle. */
  nonce: string;
  platform: Platform;
  signal: AbortSignal;
}): Promise<FetchedBundle> {
  const { config, ticket, nonce, platform, signal } = options;
  const body: BundleRequest = { ticket, nonce, platform, agentVersion: version };
  const text = await askPatiently({ config, path: agentPaths.bundle, body, mostBytes: mostBundleBytes, signal });
  const { serverId, publicKeys } = config;
  const checked = verifyBundle(text, { serverId, publicKeys, ticket, nonce });
  if ("fault" in checked) throw new Error(`the bundle is not to be believed (${checked.fault}): ${checked.message}`);
  return { ...checked, text, ticket, nonce };
}

/** Tells how scripts came out, where the server asked for it. Never rejects: it is not worth a failure. */
export async function sendReports(
  config: AgentConfig,
  request: OutputRequest,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    await askServer({
      config,
      path: agentPaths.output,
      body: request,
      deadlineMs: reportDeadlineMs,
      mostBytes: mostSmallBytes,
      signal,
    });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Again while the server cannot be reached; a ticket is taken only with an answer. */
async function askPatiently(options: Omit<Parameters<typeof askServer>[0], "deadlineMs">): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await askServer({ ...options, deadlineMs });
    } catch (error) {
      const unreached = notYet.includes((error as NodeJS.ErrnoException).code ?? "");
      if (!unreached || tries === mostTries || options.signal?.aborted) throw error;
      await wait(500 * tries, undefined, { signal: options.signal });
    }
  }
}
