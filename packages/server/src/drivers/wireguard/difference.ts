import { canonicalRange, type DeviceState, inPieces, type PeerState } from "./device.ts";
import type { ExpectedPeer, WireGuardPeer } from "./driver-terms.ts";
import { isRight, type PeerTable } from "./peer-table.ts";

/** What brings an interface to the expected peers. */
export type Difference = {
  puts: WireGuardPeer[];
  /** On the interface, ours, and not expected there any more. */
  leaving: string[];
  /** Expected peers whose range another has that stays: giving it to them would take it away from that one. */
  blocked: { publicKey: string; range: string; holder: string }[];
};

/**
 * Ranges are canonical on both sides. Peers that are right already are in none of the lists, so that their sessions and
 * counters stay. `isOurs`: others are left alone, also where one of the same key is expected.
 */
export async function difference(options: {
  state: DeviceState;
  expected: readonly ExpectedPeer[];
  isOurs: (publicKey: string) => boolean;
}): Promise<Difference> {
  const { state, isOurs } = options;
  const found: Difference = { puts: [], leaving: [], blocked: [] };
  const wanted = new Map<string, WireGuardPeer>();
  await inPieces(options.expected, (peer) => void wanted.set(peer.publicKey, peer));

  const holders = new Map<string, string>();
  await inPieces(state.peers.values(), (there) => {
    const should = wanted.get(there.publicKey);
    const ours = isOurs(there.publicKey);
    if (ours && should === undefined) found.leaving.push(there.publicKey);
    else if (ours && should !== undefined && !isRight(should, there)) found.puts.push(should);
    else for (const range of there.allowedIps) holders.set(range, there.publicKey);
  });
  for (const peer of wanted.values()) if (!state.peers.has(peer.publicKey)) found.puts.push(peer);

  const [all, puts] = [found.puts, [] as WireGuardPeer[]];
  await inPieces(all, (peer) => {
    const range = peer.allowedIps.find((one) => holders.has(one));
    if (range !== undefined) {
      found.blocked.push({ publicKey: peer.publicKey, range, holder: holders.get(range) ?? "" });
      return;
    }
    for (const one of peer.allowedIps) holders.set(one, peer.publicKey);
    puts.push(peer);
  });
  return { ...found, puts };
}

/** Which of these would take an allowed IP from a peer that keeps it, and from whom. */
export async function takenFrom(options: {
  puts: readonly WireGuardPeer[];
  going: ReadonlySet<string>;
  table: PeerTable;
  /** Those of others, with what they have. */
  foreign: readonly PeerState[];
}): Promise<Map<string, string>> {
  const { puts, going, table, foreign } = options;
  const holders = new Map<string, string>();
  for (const there of foreign) for (const range of there.allowedIps) holders.set(range, there.publicKey);
  // Those who are put anew have from then on what stands there, and nothing else.
  const changing = new Set(puts.map(({ publicKey }) => publicKey));
  const taken = new Map<string, string>();
  await inPieces(puts, ({ publicKey, allowedIps }) => {
    for (const range of allowedIps.map(canonicalRange)) {
      const known = table.holderOf(range);
      const stays = known !== undefined && !going.has(known) && !changing.has(known);
      const holder = holders.get(range) ?? (stays ? known : undefined);
      if (holder !== undefined && holder !== publicKey) taken.set(publicKey, holder);
      holders.set(range, publicKey);
    }
  });
  return taken;
}

export const asPut = ({ publicKey, presharedKey, allowedIps }: WireGuardPeer) => ({
  kind: "put" as const,
  publicKey,
  presharedKey,
  allowedIps,
});
