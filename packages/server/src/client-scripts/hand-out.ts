import { createHash, randomBytes } from "node:crypto";
import {
  type Bundle,
  type BundleRequest,
  type ClientScript,
  mostReports,
  type OutputRequest,
  type SignedBundle,
  sha256,
  signBundle,
} from "@sallyport/protocol";
import type { Connection } from "../core/connection.ts";
import { SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { Log } from "../core/log.ts";
import type { ClientScriptStore, KeptReport, ScriptTicket } from "../store/client-script-store.ts";
import type { Ledger, SettingStore } from "../store/store.ts";
import { cleanReport } from "./reports.ts";
import { platformOf, scriptProperty, selectScripts } from "./select.ts";
import type { SigningKeys } from "./signing-keys.ts";

/** How a connection's client gets its scripts: a ticket inside the tunnel, once exchanged for a signed bundle. */
export type HandOut = {
  /** A ticket for a connection that is being admitted; null where there are no scripts for it. Earlier ones are void. */
  ticketFor(connection: Connection, reportedPlatform: string | undefined): Promise<string | null>;
  /** For a request that came out of a WireGuard tunnel, whose source address WireGuard vouches for. */
  ticketInTunnel(request: { from: string; to: string }): Promise<{ ticket: string | null; expiresAt: string }>;
  bundle(request: BundleRequest & { from: string }): Promise<SignedBundle>;
  report(request: OutputRequest): Promise<{ kept: number }>;
};

/** Whether administrators' scripts are handed out, and whether agents are to tell how scripts came out. */
export const switches = { adminScripts: "vpn.client.admin_scripts", reports: "vpn.client.script_reports" } as const;

const ticketLifeMs = 3 * 60_000;
const bundleLifeMs = 2 * 60_000;
/** Disconnect scripts are reported when the tunnel is gone. */
const reportAfterEndMs = 10 * 60_000;

export function createHandOut(options: {
  store: ClientScriptStore;
  ledger: Pick<Ledger, "get">;
  settings: Pick<SettingStore, "get">;
  keys: SigningKeys;
  /** The server's own addresses inside the tunnel of a connection. */
  tunnelAddresses: (connection: Connection) => readonly string[];
  log: Log;
  now?: () => Date;
}): HandOut {
  const { store, ledger, settings, keys, log } = options;
  const now = () => options.now?.() ?? new Date();
  const later = (ms: number) => new Date(now().getTime() + ms).toISOString();
  const isOn = async (key: string) => (await settings.get(key)) === "true";

  async function scriptsOf(connection: Connection, platform: ReturnType<typeof platformOf>): Promise<ClientScript[]> {
    const { properties, group } = connection;
    const [live, variables, adminScripts] = await Promise.all([
      store.liveFor(group?.name ?? null),
      store.variables(),
      isOn(switches.adminScripts),
    ]);
    return selectScripts({ live, variables, properties, group: group?.name ?? null, platform, adminScripts });
  }

  async function newTicket(
    connectionId: string,
    platform: string | null,
  ): Promise<{ ticket: string; expiresAt: string }> {
    const ticket = randomBytes(32).toString("base64url");
    const expiresAt = later(ticketLifeMs);
    const digest = digestOf(ticket);
    await store.putTicket({ digest, connectionId, platform, createdAt: now().toISOString(), expiresAt });
    return { ticket, expiresAt };
  }

  /** The connection of a ticket that may still be exchanged by whoever asks from this address. */
  async function bearer(ticket: ScriptTicket | undefined, from: string): Promise<Connection> {
    if (ticket === undefined) throw new SallyportError("ticket-unknown", "no such ticket was given out");
    const connection = await ledger.get(ticket.connectionId);
    const facts = { connection: ticket.connectionId, user: connection?.userId, address: from };
    if (ticket.usedAt !== null) {
      log.warn(facts, "a ticket for client scripts was presented again");
      throw new SallyportError("ticket-used", "this ticket was exchanged before; connect again for a new one");
    }
    if (ticket.expiresAt <= now().toISOString())
      throw new SallyportError("ticket-expired", `this ticket was good until ${ticket.expiresAt}`);
    if (connection === undefined || !isUp(connection))
      throw new SallyportError("connection-ended", "the connection of this ticket has ended");
    const holder = await store.connectionAt(from);
    if (holder !== undefined && holder !== connection.id) {
      log.warn({ ...facts, presentedBy: holder }, "a ticket for client scripts came out of another's tunnel");
      throw new SallyportError("ticket-unknown", "this ticket is another connection's");
    }
    return connection;
  }

  return {
    async ticketFor(connection, reported) {
      const own = Object.keys(connection.properties).some((key) => scriptProperty.test(key));
      if (!own && (await store.list()).length === 0) return null;
      const platform = platformOf(reported);
      if ((await scriptsOf(connection, platform)).length === 0) return null;
      return (await newTicket(connection.id, reported?.slice(0, 40) ?? null)).ticket;
    },

    async ticketInTunnel({ from, to }) {
      const id = await store.connectionAt(from);
      const connection = id === undefined ? undefined : await ledger.get(id);
      const vouchedFor =
        connection?.protocol === "wireguard" && isUp(connection) && options.tunnelAddresses(connection).includes(to);
      if (!vouchedFor)
        throw new SallyportError("ticket-unknown", "a ticket is given only to who asks through a WireGuard tunnel");
      const offers = await Promise.all((["win", "mac", "linux"] as const).map((one) => scriptsOf(connection, one)));
      if (offers.every((scripts) => scripts.length === 0)) return { ticket: null, expiresAt: later(0) };
      return await newTicket(connection.id, null);
    },

    async bundle({ ticket, nonce, platform: told, agentVersion, from }) {
      const digest = digestOf(ticket);
      const known = await store.ticket(digest);
      const connection = await bearer(known, from);
      const platform = platformOf(known?.platform ?? told);
      const scripts = await scriptsOf(connection, platform);
      const token = (await isOn(switches.reports)) ? randomBytes(32).toString("base64url") : null;
      const reportDigest = token === null ? null : digestOf(token);
      // The last thing that can fail: whoever comes second gets nothing.
      if (!(await store.takeTicket(digest, { at: now().toISOString(), reportDigest })))
        throw new SallyportError("ticket-used", "this ticket was exchanged before; connect again for a new one");
      const bundle: Bundle = {
        id: newId(),
        issuedAt: now().toISOString(),
        expiresAt: later(bundleLifeMs),
        serverId: keys.serverId(),
        connectionId: connection.id,
        ticketSha256: sha256(ticket),
        nonce,
        userId: connection.userId,
        profileId: connection.profileId,
        group: connection.group?.name ?? null,
        platform,
        scripts,
        stdin: connection.properties["prop_cli.script_stdin"] ?? null,
        report: token === null ? null : { token },
      };
      const facts = { connection: connection.id, user: connection.userId, bundle: bundle.id, platform, agentVersion };
      log.info({ ...facts, scripts: scripts.map(({ name }) => name) }, "client scripts were handed out");
      return signBundle(bundle, keys.current(), keys.announcements());
    },

    async report({ token, reports }) {
      const id = await store.reporter(digestOf(token));
      const connection = id === undefined ? undefined : await ledger.get(id);
      if (connection === undefined)
        throw new SallyportError("ticket-unknown", "this token for reports is not one that was given out");
      const { endedAt } = connection;
      if (endedAt !== null && Date.parse(endedAt) + reportAfterEndMs < now().getTime())
        throw new SallyportError("connection-ended", "the connection ended too long ago for reports");
      const receivedAt = now().toISOString();
      const kept = reports.map(
        (report): KeptReport => ({ id: newId(), connectionId: connection.id, receivedAt, ...cleanReport(report) }),
      );
      return { kept: await store.addReports(connection.id, kept, mostReports) };
    },
  };
}

function isUp({ state }: Connection): boolean {
  return state === "admitted" || state === "open";
}

function digestOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
