import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Connections } from "../../src/connections/connections.ts";
import { createPassage } from "../../src/connections/passage.ts";
import { parseRange } from "../../src/core/address-range.ts";
import { newId } from "../../src/core/id.ts";
import type { Properties } from "../../src/core/properties.ts";
import type { AccessRequest, Tunnel } from "../../src/core/vpn-event.ts";
import type { Admission, Driver, DriverEvents, Refusal } from "../../src/drivers/driver.ts";
import type { Vetoes } from "../../src/hooks/veto.ts";
import { createLifecycle } from "../../src/lifecycle.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";

/** What a client was told. */
export type Told = { admitted: Admission } | { refused: Refusal };

/** The arrow over a real database, with a VPN daemon that is played: it takes every answer, and ends what it is told to. */
export type Arrow = AsyncDisposable & {
  store: Store;
  connections: Connections;
  events: DriverEvents;
  /** What the log was told as a warning. */
  warned: readonly { fields: object; message: string }[];
  /** One client asks; resolves with what it was told. */
  ask(key: string): Promise<Told>;
};

const listener = { profileId: "office", listener: "udp/1194" };

export async function openArrow(options: {
  range: string;
  /** Of everybody who asks. */
  properties?: Properties;
  /** What the network says to somebody who is let in. */
  letIntoNetwork?: () => Promise<void>;
  vetoes?: Vetoes;
  refusedAfterwards?: Parameters<typeof createLifecycle>[0]["refusedAfterwards"];
}): Promise<Arrow> {
  const directory = await mkdtemp(join(tmpdir(), "arrow-"));
  const store = await openSqlite({ file: join(directory, "sallyport.db") });
  const warned: { fields: object; message: string }[] = [];
  const log = {
    debug() {},
    info() {},
    warn: (fields: object, message: string) => void warned.push({ fields, message }),
    error() {},
  };
  const waiting = new Map<string, (told: Told) => void>();
  const answer = (tunnel: Tunnel, told: Told) => waiting.get(tunnel.key)?.(told);
  const driver: Driver = {
    start: async () => {},
    stop: async () => {},
    admit: async (tunnel, admitted) => {
      answer(tunnel, { admitted });
      lifecycle.events.established(tunnel);
    },
    refuse: async (tunnel, refused) => answer(tunnel, { refused }),
    challenge: async () => {},
    answer: () => false,
    announceWait: async () => {},
    disconnect: async (tunnel) => lifecycle.events.gone(tunnel, { bytesIn: 1, bytesOut: 2 }),
  };
  const profile = (id: string) => ({
    id,
    ranges: { ipv4: parseRange(options.range) ?? null, ipv6: null },
    routes: [],
    dns: [],
    sessionExpiryMs: null,
  });
  const passage = createPassage({
    ledger: store.ledger,
    network: { admit: options.letIntoNetwork ?? (async () => {}), release: async () => {}, restore: async () => {} },
    nodeNumber: 0,
    profile,
    device: () => "tun-test",
  });
  const hooks = { observers: () => ["observer"], subscribers: () => ["observer"], graceMs: () => ({}) };
  const connections = new Connections({
    ledger: store.ledger,
    driver,
    nodeNumber: 0,
    profile,
    groupSubnets: async () => [],
    passage,
    hooks,
    queued: () => {},
    log,
  });
  const lifecycle = createLifecycle({
    pipeline: {
      decide: async ({ username = "" }) => ({
        outcome: "allow",
        attemptId: newId(),
        userId: username,
        authMethod: "local",
        reason: "played",
        properties: options.properties ?? {},
        group: null,
        save: {},
        session: null,
      }),
    },
    connections,
    passage,
    vetoes: options.vetoes ?? { ask: async () => ({ allowed: true, recorded: Promise.resolve() }) },
    driver,
    reconcile: async () => {},
    changedMeanwhile: async () => null,
    ticketFor: async () => null,
    keepSession: async () => {},
    refusedAfterwards: options.refusedAfterwards ?? (async () => {}),
    longestWaitMs: async () => 1_000,
    mostAttempts: 10_000,
    log,
  });

  return {
    store,
    connections,
    warned,
    events: lifecycle.events,
    ask: (key) =>
      new Promise((told) => {
        waiting.set(key, told);
        lifecycle.events.asked(requestOf(key));
      }),
    [Symbol.asyncDispose]: async () => {
      await lifecycle.settled();
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

function requestOf(key: string): AccessRequest {
  return {
    kind: "connect",
    tunnel: { ...listener, key },
    protocol: "openvpn",
    username: `user ${key}`,
    password: undefined,
    certificate: { commonName: `device ${key}`, serial: "1" },
    clientAddress: "192.0.2.7",
    clientPort: 5000,
    hardwareAddress: undefined,
    clientInfo: {},
    certificateFields: {},
  };
}
