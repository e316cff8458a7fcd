import { breathe, canonicalRange, type DeviceState, type PeerState } from "./device.ts";
import { isRight, type PeerTable } from "./peer-table.ts";
import type { ExpectedPeer, WireGuardPeer } from "./wireguard-driver.ts";

/** What brings an interface to the expected peers. */
export type Difference = {
  puts: WireGuardPeer[];
  /** On the interface, ours, and not expected there any more. */
  leaving: string[];
  /** Expected peers whose range another has that stays: giving it to them would take it away from that one. */
  blocked: { publicKey: string; range: string; holder: string }[];
};

const peersAPiece = 500;

/**
 * Ranges are canonical on both sides. Peers that are right already are in none of the lists, so that their sessions and counters stay. `isOurs`: others are
 * left alone, also where one of the same key is expected.
 */
export async function difference(options: {
  state: DeviceState;
  expected: readonly ExpectedPeer[];
  isOurs: (publicKey: string) => boolean;
}): Promise<Difference> {
  const { state, isOurs } = options;
  const found: Difference = { puts: [], leaving: [], blocked: [] };
  const wanted = new Map<string, WireGuardPeer>();
  let handled = 0;
  const rest = async () => {
    handled += 1;
    if (handled % peersAPiece === 0) await breathe();
  };
  for (const peer of options.expected) {
    wanted.set(peer.publicKey, peer);
    await rest();
  }

  const holders = new Map<string, string>();
  for (const there of state.peers.values()) {
    const should = wanted.get(there.publicKey);
    const ours = isOurs(there.publicKey);
    if (ours && should === undefined) found.leaving.push(there.publicKey);
    else if (ours && should !== undefined && !isRight(should, there)) found.puts.push(should);
    else for (const range of there.allowedIps) holders.set(range, there.publicKey);
    await rest();
  }
  for (const peer of wanted.values()) if (!state.peers.has(peer.publicKey)) found.puts.push(peer);

  found.puts = found.puts.filter((peer) => {
    const taken = peer.allowedIps.find((range) => holders.has(range));
    if (taken !== undefined) {
      found.blocked.push({ publicKey: peer.publicKey, range: taken, holder: holders.get(taken) ?? "" });
      return false;
    }
    for (const range of peer.allowedIps) holders.set(range, peer.publicKey);
    return true;
  });
  return found;
}

/** Which of these would take an allowed IP from a peer that stays, and from whom. */
export function takenFrom(options: {
  puts: readonly WireGuardPeer[];
  going: ReadonlySet<string>;
  table: PeerTable;
  /** Those of others, with what they have. */
  foreign: readonly PeerState[];
}): Map<string, string> {
  const { puts, going, table, foreign } = options;
  const holders = new Map<string, string>();
  for (const there of foreign) for (const range of there.allowedIps) holders.set(range, there.publicKey);
  const taken = new Map<string, string>();
  for (const { publicKey, allowedIps } of puts) {
    for (const range of allowedIps.map(canonicalRange)) {
      const known = table.holderOf(range);
      const holder = holders.get(range) ?? (known !== undefined && going.has(known) ? undefined : known);
      if (holder !== undefined && holder !== publicKey) taken.set(publicKey, holder);
      holders.set(range, publicKey);
    }
  }
  return taken;
}

export const asPut = ({ publicKey, presharedKey, allowedIps }: WireGuardPeer) => ({
  kind: "put" as const,
  publicKey,
  presharedKey,
  allowedIps,
});
