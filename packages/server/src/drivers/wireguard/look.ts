import type { Traffic, Tunnel } from "../../core/vpn-event.ts";
import { type DeviceState, inPieces, type PeerState } from "./device.ts";
import type { WireGuardDriverOptions } from "./driver-terms.ts";
import { isRight, type KnownPeer, type PeerTable } from "./peer-table.ts";

type Seen = Parameters<WireGuardDriverOptions["observed"]>[0][number];
type Handshake = Parameters<WireGuardDriverOptions["shookHands"]>[0];

/** What is new on an interface since the last look. */
export type News = {
  traffic: Traffic[];
  seen: Seen[];
  /** Peers that are not let in and shook hands. */
  knocking: Handshake[];
  /** Let in, and silent for too long. */
  silent: Tunnel[];
  /** Somebody else changed or removed peers of ours. */
  disturbed: string[];
};

/** Enters what was read into the table. `silenceMs` and `askAgainMs` are null where connections do not follow handshakes. */
export async function takeNews(options: {
  state: DeviceState;
  table: PeerTable;
  now: number;
  byHandshake: { silenceMs: number; askAgainMs: number; mayAsk: (publicKey: string) => boolean } | null;
  withTraffic: boolean;
}): Promise<News> {
  const { state, table, now, byHandshake } = options;
  const news: News = { traffic: [], seen: [], knocking: [], silent: [], disturbed: [] };
  await inPieces(table.all(), (known) => {
    const there = state.peers.get(known.publicKey);
    if (there === undefined || !isRight(known, there)) news.disturbed.push(known.publicKey);
    if (there !== undefined) {
      const isNew = enter(known, there, now);
      if (isNew) news.seen.push(asSeen(known, table));
    }
    if (options.withTraffic && known.admitted) addTraffic(news.traffic, known, table);
    if (byHandshake !== null) judgeHandshakes(known, { news, table, now, ...byHandshake });
  });
  return news;
}

/** True where the endpoint or the last handshake is another than before. */
export function enter(known: KnownPeer, there: PeerState, now: number): boolean {
  const before = known.counter.total.bytesIn;
  known.counter.read(there);
  if (known.counter.total.bytesIn > before) known.lastSignMs = now;
  const isNew = there.endpoint !== known.endpoint || there.lastHandshakeMs !== known.lastHandshakeMs;
  known.endpoint = there.endpoint;
  known.lastHandshakeMs = there.lastHandshakeMs;
  if (there.lastHandshakeMs !== null) known.lastSignMs = Math.max(known.lastSignMs, there.lastHandshakeMs);
  return isNew;
}

function addTraffic(traffic: Traffic[], known: KnownPeer, table: PeerTable): void {
  const { total } = known.counter;
  const told = known.toldCounts;
  if (total.bytesIn === told.bytesIn && total.bytesOut === told.bytesOut) return;
  known.toldCounts = total;
  traffic.push({ tunnel: table.tunnel(known.publicKey), ...total });
}

function judgeHandshakes(
  known: KnownPeer,
  options: {
    news: News;
    table: PeerTable;
    now: number;
    silenceMs: number;
    askAgainMs: number;
    mayAsk: (publicKey: string) => boolean;
  },
): void {
  const { news, table, now, silenceMs, askAgainMs, mayAsk } = options;
  if (known.admitted) {
    if (now - known.lastSignMs > silenceMs) news.silent.push(table.tunnel(known.publicKey));
    return;
  }
  const { lastHandshakeMs, asked, publicKey, endpoint } = known;
  if (lastHandshakeMs === null || lastHandshakeMs <= asked.handshakeMs || now - lastHandshakeMs > silenceMs) return;
  if (now - asked.atMs < askAgainMs || !mayAsk(publicKey)) return;
  known.asked = { handshakeMs: lastHandshakeMs, atMs: now };
  news.knocking.push({ tunnel: table.tunnel(publicKey), endpoint, at: new Date(lastHandshakeMs).toISOString() });
}

function asSeen({ publicKey, endpoint, lastHandshakeMs }: KnownPeer, table: PeerTable): Seen {
  const lastHandshakeAt = lastHandshakeMs === null ? null : new Date(lastHandshakeMs).toISOString();
  return { tunnel: table.tunnel(publicKey), endpoint, lastHandshakeAt };
}
