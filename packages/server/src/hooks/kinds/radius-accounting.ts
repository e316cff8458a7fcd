import type { ConnectionEvent } from "@sallyport/protocol";
import type { Connection } from "../../core/connection.ts";
import type { Telling } from "../../core/hook.ts";
import type { Secret } from "../../core/secret.ts";
import { type AccountingEvent, accountingAttributes } from "../../radius/accounting.ts";
import { type RadiusClient, RadiusNoAnswer, type RadiusServer } from "../../radius/client.ts";
import type { Tell } from "../tell.ts";

export type AccountingServer = { host: string; port: number; secret: Secret };

export type RadiusAccounting = {
  tell: Tell;
  /** Tells of a connection that is open. Rejects with `RadiusNoAnswer` where no server took note. */
  interim(connection: Connection): Promise<void>;
};

type Options = {
  /** In the order they are asked. */
  servers: readonly AccountingServer[];
  client: Pick<RadiusClient, "accounting">;
  nasIdentifier: string;
  /** The ledger's row: an event does not say all that accounting wants to know. */
  connection: (id: string) => Promise<Connection | undefined>;
  /** Milliseconds since 1970. */
  clock?: () => number;
};

/** Each server is sent a request so often before the next is asked. */
const tries = 2;
const interimTryMs = 1_000;
/** A server that did not answer is asked last for so long. */
const avoidedMs = 30_000;

/**
 * RADIUS accounting (RFC 2866): Start when somebody was let in, Stop at the end, the ledger row's id as the session's.
 * A server has taken note when its answer bears the signature of the shared secret. Told again later, an event keeps
 * its time, and Acct-Delay-Time says how late it is.
 */
export function radiusAccounting(options: Options): RadiusAccounting {
  const { servers, client, nasIdentifier, clock = Date.now } = options;
  const avoidedUntil = new Map<AccountingServer, number>();

  const send = async (event: AccountingEvent, tryMs: number, abort?: AbortSignal): Promise<void> => {
    const attributes = accountingAttributes(event);
    const avoided = (server: AccountingServer) => (avoidedUntil.get(server) ?? 0) > performance.now();
    const inOrder = servers.toSorted((a, b) => Number(avoided(a)) - Number(avoided(b)));
    const troubles: string[] = [];
    for (const server of inOrder) {
      if (abort?.aborted) throw new RadiusNoAnswer("ended before a server took note");
      try {
        await client.accounting(serverOf(server), attributes, { tryMs, tries });
        avoidedUntil.delete(server);
        return;
      } catch (error) {
        if (!(error instanceof RadiusNoAnswer)) throw error;
        avoidedUntil.set(server, performance.now() + avoidedMs);
        troubles.push(`${nameOf(server)} ${error.message}`);
      }
    }
    throw new RadiusNoAnswer(troubles.join("; "));
  };

  return {
    async tell(event, { deadlineMs, abort }): Promise<Telling> {
      const begun = performance.now();
      const row = await options.connection(event.sessionId);
      const tryMs = Math.max(100, Math.floor(deadlineMs / servers.length / tries));
      const told = { output: "", failure: null, error: null } as const;
      const durationMs = () => Math.round(performance.now() - begun);
      try {
        await send(accountingEvent({ event, row, nasIdentifier, now: clock() }), tryMs, abort);
        return { answer: "yes", ...told, durationMs: durationMs() };
      } catch (error) {
        if (!(error instanceof RadiusNoAnswer)) throw error;
        return { answer: "failed", ...told, failure: "unreachable", error: error.message, durationMs: durationMs() };
      }
    },
    interim: (row) => send(interimEvent({ row, nasIdentifier, now: clock() }), interimTryMs),
  };
}

function serverOf(server: AccountingServer): RadiusServer {
  // An answer to accounting is signed as a whole (RFC 2866 section 3).
  return { ...server, name: nameOf(server), requireMessageAuthenticator: false };
}

export const nameOf = ({ host, port }: { host: string; port: number }) => `${host}:${port}`;

type Given = { row: Connection | undefined; nasIdentifier: string; now: number };

/** Without a row (a trial of a connection that never was) the event alone says what there is. */
function accountingEvent({ event, row, nasIdentifier, now }: Given & { event: ConnectionEvent }): AccountingEvent {
  const isStart = event.event === "C";
  const happened = isStart ? (row?.admittedAt ?? row?.reservedAt) : row?.endedAt;
  const at = new Date(happened ?? now);
  return {
    status: isStart ? "start" : "stop",
    sessionId: event.sessionId,
    userId: event.userId,
    nasIdentifier,
    at,
    clientAddress: row?.originatingIp ?? event.originatingIp ?? null,
    ipv4: event.ipFour ?? null,
    ipv6: event.ipSix ?? null,
    bytesIn: event.bytesIn ?? 0,
    bytesOut: event.bytesOut ?? 0,
    durationSeconds: event.durationSeconds ?? 0,
    endReason: row?.endReason ?? (event.disconnectReason as AccountingEvent["endReason"]) ?? null,
    classes: classesOf(row),
    delaySeconds: Math.max(0, Math.floor((now - at.getTime()) / 1_000)),
  };
}

function interimEvent({ row, nasIdentifier, now }: Given & { row: Connection }): AccountingEvent {
  const from = Date.parse(row.establishedAt ?? row.admittedAt ?? row.reservedAt);
  return {
    status: "interim",
    sessionId: row.id,
    userId: row.userId,
    nasIdentifier,
    at: new Date(now),
    clientAddress: row.originatingIp,
    ipv4: row.ipv4,
    ipv6: row.ipv6,
    bytesIn: row.bytesIn,
    bytesOut: row.bytesOut,
    durationSeconds: Math.max(0, Math.floor((now - from) / 1_000)),
    endReason: null,
    classes: classesOf(row),
    delaySeconds: 0,
  };
}

/** The server wants them back byte for byte; what is no text stands as `0x…`. */
function classesOf(row: Connection | undefined): Buffer[] {
  return (row?.radiusClasses ?? []).map((text) =>
    /^0x(?:[0-9a-f]{2})+$/.test(text) ? Buffer.from(text.slice(2), "hex") : Buffer.from(text, "utf8"),
  );
}
