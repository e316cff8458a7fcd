import { type Device, type DeviceState, inPieces, type PeerChange } from "./device.ts";
import { asPut, takenFrom } from "./difference.ts";
import type { WireGuardPeer } from "./driver-terms.ts";
import { enter } from "./look.ts";
import type { PeerTable } from "./peer-table.ts";

/** Peers, by public key, that are removed; that stay and let nothing pass; that are there from now on. */
export type Changes = {
  removals: readonly string[];
  closing: readonly string[];
  puts: readonly WireGuardPeer[];
};

/**
 * Removes, closes and adds peers. First nothing passes for those who are in and leave, then their counts are read, and
 * only then are they removed, in one write with whoever comes: so the counts are the last there will be. `gone` is
 * called for each of them. Returns who cannot be added and whose address or key that is.
 */
export async function applyChanges(options: {
  device: Device;
  what: Changes;
  table: PeerTable;
  /** Whether the interface is read before anybody is added. */
  mustRead: boolean;
  wasRead: (state: DeviceState) => void;
  isForeign: (publicKey: string) => boolean;
  gone: (publicKey: string, forget: boolean) => void;
}): Promise<Map<string, string>> {
  const { device, what, table, isForeign } = options;
  const leaving = [...what.removals, ...what.closing].filter((key) => table.get(key)?.admitted);
  if (leaving.length > 0) await device.write({ peers: leaving.map((publicKey) => ({ kind: "clear", publicKey })) });
  const adds = what.puts.some(({ allowedIps }) => allowedIps.length > 0);
  const state = leaving.length > 0 || (adds && options.mustRead) ? await device.read() : undefined;
  if (state !== undefined) {
    options.wasRead(state);
    for (const key of [...leaving, ...what.puts.map(({ publicKey }) => publicKey)]) {
      const [known, there] = [table.get(key), state.peers.get(key)];
      if (known !== undefined && there !== undefined) enter(known, there, Date.now());
    }
  }

  const foreign = [...(state?.peers.values() ?? [])].filter(({ publicKey }) => isForeign(publicKey));
  const going = new Set([...what.removals, ...what.closing]);
  const taken = await takenFrom({ puts: what.puts, going, table, foreign });
  for (const { publicKey } of what.puts) if (isForeign(publicKey)) taken.set(publicKey, publicKey);
  const puts = what.puts.filter(({ publicKey }) => !taken.has(publicKey));
  const removals = what.removals.map((publicKey): PeerChange => ({ kind: "remove", publicKey }));
  const changes = [...removals, ...puts.map(asPut)];
  // Before the write: of one that fails nobody knows how far it came, and what is ours must be found again.
  await inPieces(puts, (peer) => void table.put(peer));
  if (changes.length > 0) await device.write({ peers: changes });

  await inPieces(what.removals, (key) => options.gone(key, true));
  await inPieces(what.closing, (key) => options.gone(key, false));
  return taken;
}
