/*
 * The daemon's own parts between a VPN daemon's question and our answer, and between its word that a client is gone and the
 * hooks': lifecycle, connections, hooks and a store. Credentials are not checked, and the VPN daemon is played.
 */

import { Connections } from "../packages/server/src/connections/connections.ts";
import { parseRange } from "../packages/server/src/core/address-range.ts";
import type { HookTerms } from "../packages/server/src/core/hook.ts";
import { newId } from "../packages/server/src/core/id.ts";
import type { AccessRequest, Tunnel } from "../packages/server/src/core/vpn-event.ts";
import type { Driver } from "../packages/server/src/drivers/driver.ts";
import { createHooks } from "../packages/server/src/hooks/dispatch.ts";
import type { BoundHook } from "../packages/server/src/hooks/tell.ts";
import { createLifecycle } from "../packages/server/src/lifecycle.ts";
import type { ProgramRunner } from "../packages/server/src/runner/runner.ts";
import type { Store } from "../packages/server/src/store/store.ts";

export const quiet = { debug() {}, info() {}, warn: console.warn, error: console.error };

export function hookTerms(changes: Partial<HookTerms>): HookTerms {
  return {
    name: "hook",
    events: ["connect"],
    veto: false,
    deadlineMs: 30_000,
    onFailure: "deny",
    showOutput: false,
    concurrency: 64,
    graceMs: 0,
    retry: { attempts: 1, firstWaitMs: 10, longestWaitMs: 10 },
    ...changes,
  };
}

export async function simulatedDaemon(options: { store: Store; runner: ProgramRunner; hook: BoundHook }) {
  const { store, runner } = options;
  const node = { number: 0, url: "https://vpn.example.org", hostName: "vpn.example.org" };
  const hooks = createHooks({ hooks: [options.hook], store, runner, node, log: quiet });
  const answered = new Map<string, (how: string) => void>();
  const answer = (tunnel: Tunnel, how: string) => answered.get(tunnel.key)?.(how);
  const driver: Driver = {
    start: async () => {},
    stop: async () => {},
    admit: async (tunnel) => answer(tunnel, "admitted"),
    refuse: async (tunnel, { reason }) => answer(tunnel, reason),
    challenge: async () => {},
    answer: () => false,
    announceWait: async () => {},
    disconnect: async () => {},
  };
  const range = parseRange("10.0.0.0/12") ?? null;
  const profile = { id: "office", ranges: { ipv4: range, ipv6: null }, routes: [], dns: [], sessionExpiryMs: null };
  const passage = {
    admission: () => ({ ipv4: null, ipv6: null, routes: [], dns: [] }),
    open: async () => {},
    close: async () => {},
  };
  const connections = new Connections({
    ledger: store.ledger,
    driver,
    nodeNumber: 0,
    profile: () => profile,
    groupSubnets: async () => [],
    passage,
    hooks,
    queued: hooks.wake,
    log: quiet,
  });
  const lifecycle = createLifecycle({
    pipeline: {
      decide: async ({ username = "" }) => ({
        outcome: "allow",
        attemptId: newId(),
        userId: username,
        authMethod: "local",
        reason: "not checked here",
        properties: {},
        group: null,
        save: {},
        session: null,
      }),
    },
    connections,
    passage,
    vetoes: hooks.vetoes,
    driver,
    reconcile: async () => {},
    changedMeanwhile: async () => null,
    ticketFor: async () => null,
    keepSession: async () => {},
    refusedAfterwards: async () => {},
    longestWaitMs: async () => 0,
    mostAttempts: 1_000,
    log: quiet,
  });
  await hooks.start();

  let last = 0;
  const connect = async (): Promise<{ tunnel: Tunnel; took: number }> => {
    const tunnel = { profileId: "office", listener: "udp/1194", key: String(++last) };
    const { promise, resolve } = Promise.withResolvers<string>();
    answered.set(tunnel.key, resolve);
    const begun = performance.now();
    lifecycle.events.asked(requestOf(tunnel));
    const how = await promise;
    const took = performance.now() - begun;
    answered.delete(tunnel.key);
    if (how !== "admitted") throw new Error(how);
    return { tunnel, took };
  };

  return {
    /** Milliseconds until the client was let in. */
    connect,
    gone: (tunnel: Tunnel) => lifecycle.events.gone(tunnel, { bytesIn: 1, bytesOut: 1 }),
    /** Everything under way has been written down. */
    settled: () => lifecycle.settled(),
    async close() {
      await hooks.stop(5_000);
      await store.close();
    },
  };
}

function requestOf(tunnel: Tunnel): AccessRequest {
  return {
    kind: "connect",
    tunnel,
    protocol: "openvpn",
    username: `user-${tunnel.key}`,
    password: undefined,
    certificate: undefined,
    clientAddress: "198.51.100.7",
    clientPort: 40_000,
    hardwareAddress: undefined,
    clientInfo: {},
    certificateFields: {},
  };
}
