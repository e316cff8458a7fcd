import type { LiveTunnel } from "../../core/vpn-event.ts";
import { type Device, inPieces } from "./device.ts";
import { asPut, type Difference, difference } from "./difference.ts";
import type { ExpectedPeer } from "./driver-terms.ts";
import { enter } from "./look.ts";
import type { PeerTable } from "./peer-table.ts";
import { type Counting, continueCounting, type SavedCounts } from "./saved-counts.ts";

/**
 * Enters what is on an interface into the table, and puts expected peers that are missing or otherwise on it, in one
 * write. Nobody leaves yet: whoever is there unexpected is told first.
 */
export async function takeOver(options: {
  device: Device;
  table: PeerTable;
  expected: readonly ExpectedPeer[];
  isOurs: (publicKey: string) => Promise<boolean>;
  counting: Counting & { saved: SavedCounts | undefined };
  /** A peer that was let in is expected without addresses. */
  isClosed: (publicKey: string) => void;
}): Promise<{ tunnels: LiveTunnel[]; foreign: Set<string>; blocked: Difference["blocked"]; added: number }> {
  const { device, table, expected, counting } = options;
  const state = await device.read();
  const fresh = new Set<string>();
  const foreign = new Set<string>();
  await inPieces(state.peers.values(), async (there) => {
    const { publicKey } = there;
    const isFresh = !table.has(publicKey);
    if (isFresh && !(await options.isOurs(publicKey))) {
      foreign.add(publicKey);
      return;
    }
    if (isFresh) fresh.add(publicKey);
    const known = table.put(there);
    enter(known, there, Date.now());
    // What it sent while nobody looked may be long ago; its handshake tells.
    if (isFresh) known.lastSignMs = there.lastHandshakeMs ?? Date.now();
    known.admitted ||= known.allowedIps.length > 0;
  });

  const { puts, blocked } = await difference({ state, expected, isOurs: (key) => table.has(key) });
  // Where the interface was made anew under us, clients are called by us and need not find out by themselves.
  const endpointOf = (key: string) => (state.peers.has(key) ? undefined : table.get(key)?.endpoint);
  const changes = puts.map((peer) => ({ ...asPut(peer), endpoint: endpointOf(peer.publicKey) }));
  if (changes.length > 0) await device.write({ peers: changes });
  await inPieces(puts, (peer) => {
    if (!table.has(peer.publicKey)) fresh.add(peer.publicKey);
    if (peer.allowedIps.length === 0) options.isClosed(peer.publicKey);
    const known = table.put(peer);
    if (!state.peers.has(peer.publicKey)) known.lastSignMs = Date.now();
    known.admitted = known.allowedIps.length > 0;
  });

  const ledger = new Map(expected.map(({ publicKey, counts }) => [publicKey, counts]));
  for (const key of fresh) {
    const counter = table.get(key)?.counter;
    const from = { saved: counting.saved?.bases.get(key), ledger: ledger.get(key) };
    if (counter !== undefined) continueCounting(counter, { ...counting, ...from });
  }
  const there = new Set([...state.peers.keys(), ...puts.map(({ publicKey }) => publicKey)]);
  const up = [...table.all()].filter((known) => known.admitted && there.has(known.publicKey));
  return { tunnels: up.map((known) => table.live(known)), foreign, blocked, added: puts.length };
}
