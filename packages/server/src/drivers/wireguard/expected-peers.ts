import { canonicalRange, inPieces } from "./device.ts";
import type { ExpectedPeer, WireGuardInterface } from "./driver-terms.ts";
import { isKey } from "./keys.ts";

/**
 * As the ledger says, with canonical ranges. Who was just told gone (`ended`) and is still listed as let in does not come
 * back by that; a key that is not listed so any more is taken off `ended`. One that is malformed is left out: it must not
 * keep the others from where they belong.
 */
export async function asExpected(options: {
  all: readonly ExpectedPeer[];
  ended: Set<string>;
  trigger: WireGuardInterface["trigger"];
}): Promise<{ peers: ExpectedPeer[]; malformed: string[] }> {
  const { all, ended, trigger } = options;
  const peers: ExpectedPeer[] = [];
  const malformed: string[] = [];
  const letIn = new Set<string>();
  await inPieces(all, (peer) => {
    const { publicKey } = peer;
    const allowedIps = rangesOf(peer);
    if (allowedIps === undefined) {
      malformed.push(publicKey.slice(0, 60));
      return;
    }
    if (allowedIps.length > 0) letIn.add(publicKey);
    if (allowedIps.length === 0 || !ended.has(publicKey)) peers.push({ ...peer, allowedIps });
    else if (trigger === "handshake") peers.push({ ...peer, allowedIps: [] });
  });
  for (const key of ended) if (!letIn.has(key)) ended.delete(key);
  return { peers, malformed };
}

function rangesOf({ publicKey, presharedKey, allowedIps }: ExpectedPeer): string[] | undefined {
  if (!isKey(publicKey) || (presharedKey !== null && !isKey(presharedKey.reveal()))) return undefined;
  try {
    return allowedIps.map(canonicalRange);
  } catch {
    return undefined;
  }
}
