import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseRange } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import { createRunProgram } from "../../core/system-program.ts";
import {
  canonicalEndpoint,
  canonicalRange,
  checkChange,
  type Device,
  type DeviceState,
  inPieces,
  type PeerChange,
  type PeerState,
} from "./device.ts";
import { isKey, noKey, presharedKeyOf } from "./keys.ts";

/** Public keys on one command line: far below what Linux lets a program have. */
const peersACommand = 1_000;
const run = createRunProgram({ deadlineMs: 20_000 });

/**
 * An interface through `wg` of wireguard-tools, which speaks netlink to the kernel's module and the socket's protocol to
 * wireguard-go. The driver uses it for the kernel's. No machine with the module was at hand: the tests put it through
 * the same suite as the socket, over wireguard-go. What differs is that a long change is several writes, in order. Only its
 * owner may enter the directory.
 */
export function createWgDevice({ name, directory }: { name: string; directory: string }): Device {
  const wg = async (args: readonly string[]): Promise<string> => {
    const ran = await run("wg", args);
    if (!ran.ok) throw new SallyportError("driver-failed", `wg ${args[0]} ${name} failed: ${ran.stderr}`);
    return ran.stdout;
  };
  // `wg` opens what it reads by name, and Node's pipes are sockets, which cannot be opened so.
  const wgWithFile = async (args: (file: string) => string[], text: string): Promise<void> => {
    const file = join(directory, "wg.input");
    try {
      await writeFile(file, text, { mode: 0o600 });
      await wg(args(file));
    } finally {
      await rm(file, { force: true });
    }
  };
  const read = async () => readDump(await wg(["show", name, "dump"]));

  return {
    read,
    write: async (change) => {
      await checkChange(change);
      const { privateKey, listenPort, peers = [] } = change;
      if (listenPort !== undefined) await wg(["set", name, "listen-port", `${listenPort}`]);
      if (privateKey !== undefined)
        await wgWithFile((file) => ["set", name, "private-key", file], `${privateKey.reveal()}\n`);
      for (const run of runsOf(peers)) {
        const [first] = run;
        if (first?.kind === "put") await wgWithFile((file) => ["addconf", name, file], await asConfig(run));
        else await setEach(run, first?.kind === "clear" ? await read() : undefined);
      }
    },
  };

  /** `wg` makes a peer that it is told to clear and that is not there: those are left out. */
  async function setEach(changes: readonly PeerChange[], present: DeviceState | undefined): Promise<void> {
    const there = changes.filter(({ publicKey }) => present === undefined || present.peers.has(publicKey));
    for (let from = 0; from < there.length; from += peersACommand) {
      const words = there
        .slice(from, from + peersACommand)
        .flatMap(({ kind, publicKey }) => [
          "peer",
          publicKey,
          ...(kind === "clear" ? ["allowed-ips", ""] : ["remove"]),
        ]);
      await wg(["set", name, ...words]);
    }
  }
}

/** Neighbours of one kind together, in their order. */
function runsOf(peers: readonly PeerChange[]): PeerChange[][] {
  const runs: PeerChange[][] = [];
  for (const peer of peers) {
    const last = runs.at(-1);
    if (last?.[0]?.kind === peer.kind) last.push(peer);
    else runs.push([peer]);
  }
  return runs;
}

async function asConfig(peers: readonly PeerChange[]): Promise<string> {
  const parts: string[] = [];
  await inPieces(peers, (peer) => {
    if (peer.kind !== "put") return;
    const lines = ["[Peer]", `PublicKey=${peer.publicKey}`, `PresharedKey=${peer.presharedKey?.reveal() ?? noKey}`];
    // A peer in a configuration gets exactly the allowed IPs that stand there: without the line, none.
    if (peer.allowedIps.length > 0) lines.push(`AllowedIPs=${peer.allowedIps.map(canonicalRange).join(",")}`);
    const endpoint = canonicalEndpoint(peer.endpoint ?? "");
    if (endpoint !== undefined) lines.push(`Endpoint=${endpoint}`);
    parts.push(...lines);
  });
  return `${parts.join("\n")}\n`;
}

/** `wg show NAME dump`: tab-separated, the interface first. */
async function readDump(text: string): Promise<DeviceState> {
  const lines = text.split("\n").filter(Boolean);
  const [privateKey = "", , listenPort = ""] = lines[0]?.split("\t") ?? [];
  const peers = new Map<string, PeerState>();
  await inPieces(lines.slice(1), (line) => {
    const peer = readPeer(line.split("\t"));
    peers.set(peer.publicKey, peer);
  });
  return { privateKey: presharedKeyOf(keyOrNone(privateKey)), listenPort: Number(listenPort), peers };
}

function readPeer(fields: readonly string[]): PeerState {
  const [publicKey = "", preshared = "", endpoint = "", allowed = "", handshake = "", received = "", sent = ""] =
    fields;
  const numbers = [handshake, received, sent].map(Number);
  if (!isKey(publicKey) || !numbers.every(Number.isFinite))
    throw new SallyportError("driver-failed", "`wg show dump` printed something that cannot be read");
  const [handshakeSeconds = 0, bytesIn = 0, bytesOut = 0] = numbers;
  return {
    publicKey,
    presharedKey: presharedKeyOf(keyOrNone(preshared)),
    endpoint: endpoint === "(none)" ? null : endpoint,
    lastHandshakeMs: handshakeSeconds > 0 ? handshakeSeconds * 1_000 : null,
    bytesIn,
    bytesOut,
    allowedIps: allowed === "(none)" ? [] : allowed.split(",").map((range) => parseRange(range)?.cidr ?? range),
  };
}

const keyOrNone = (text: string) => (isKey(text) ? text : undefined);
