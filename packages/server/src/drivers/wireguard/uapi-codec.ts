import { SallyportError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";
import {
  canonicalEndpoint,
  canonicalRange,
  type DeviceChange,
  type DeviceState,
  type PeerChange,
  type PeerState,
} from "./device.ts";
import { hexToKey, keyToHex, noKey, presharedKeyOf } from "./keys.ts";

/*
 * The cross-platform userspace protocol (https://www.wireguard.com/xplatform/): lines of `key=value` over a socket, keys
 * in hexadecimal, each operation and each answer ended by an empty line. Whatever is written here comes from checked keys,
 * canonical ranges and numbers alone, so that nothing can end a line or a value early.
 */

export const readRequest = "get=1\n\n";

const highestPort = 65_535;
const peersAPiece = 256;
/** A line of an answer is never longer; a key is 64 digits. */
const longestLine = 1_024;
const mostPeers = 1_000_000;

/**
 * The operation in pieces of a few peers each.
 * @throws SallyportError `invalid-input` for a malformed key, range or port, instead of the piece that it would be in
 */
export function* encodeChange(change: DeviceChange): Generator<string> {
  let head = "set=1\n";
  if (change.privateKey !== undefined) head += `private_key=${keyToHex(change.privateKey.reveal())}\n`;
  if (change.listenPort !== undefined) head += `listen_port=${checkedPort(change.listenPort)}\n`;
  yield head;
  const peers = change.peers ?? [];
  for (let from = 0; from < peers.length; from += peersAPiece) {
    yield peers
      .slice(from, from + peersAPiece)
      .map(encodePeer)
      .join("");
  }
  yield "\n";
}

function encodePeer(change: PeerChange): string {
  const lines = [`public_key=${keyToHex(change.publicKey)}`];
  if (change.kind === "remove") lines.push("remove=true");
  else if (change.kind === "clear") lines.push("update_only=true", "replace_allowed_ips=true");
  else {
    lines.push(`preshared_key=${keyToHex(change.presharedKey?.reveal() ?? noKey)}`, "replace_allowed_ips=true");
    for (const range of change.allowedIps) lines.push(`allowed_ip=${canonicalRange(range)}`);
    const endpoint = canonicalEndpoint(change.endpoint ?? "");
    // Turning keepalives on sends one, and without a session that is a handshake; they are turned off again.
    if (endpoint !== undefined) lines.push(`endpoint=${endpoint}`, keepalive(1), lines[0] ?? "", keepalive(0));
  }
  return `${lines.join("\n")}\n`;
}

const keepalive = (seconds: number) => `persistent_keepalive_interval=${seconds}`;

function checkedPort(port: number): number {
  if (Number.isInteger(port) && port >= 0 && port <= highestPort) return port;
  throw new SallyportError("invalid-input", `${port} is no port`);
}

/**
 * Reads the answer to one operation as it arrives, in pieces cut anywhere. Lines it does not know are passed over: later
 * versions of the protocol have more of them.
 */
export class AnswerReader {
  readonly #state: DeviceState = { privateKey: null, listenPort: 0, peers: new Map() };
  #rest = "";
  #peer: PeerState | undefined;
  #errno: number | undefined;
  #done = false;

  /**
   * True once the answer is complete.
   * @throws SallyportError `driver-failed` for what is no such answer
   */
  take(text: string): boolean {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > longestLine) throw unreadable("a line is too long");
    for (const line of lines) {
      if (this.#done) break;
      if (line !== "") this.#line(line);
      // The empty line that ends it; one may also stand before the errno.
      else if (this.#errno !== undefined) this.#done = true;
    }
    return this.#done;
  }

  /** Zero, or the negative number of an error (`-22`: EINVAL). */
  get errno(): number | undefined {
    return this.#errno;
  }

  get state(): DeviceState {
    return this.#state;
  }

  #line(line: string): void {
    const at = line.indexOf("=");
    if (at < 0 || line.length > longestLine) throw unreadable("a line is no key=value");
    const [key, value] = [line.slice(0, at), line.slice(at + 1)];
    if (key === "errno") this.#errno = numberIn(value);
    else if (key === "private_key") this.#state.privateKey = secretKey(value);
    else if (key === "listen_port") this.#state.listenPort = numberIn(value);
    else if (key === "public_key") this.#begin(value);
    else if (this.#peer !== undefined) readPeerLine(this.#peer, key, value);
  }

  #begin(hex: string): void {
    if (this.#state.peers.size >= mostPeers) throw unreadable("it has too many peers");
    const publicKey = hexToKey(hex);
    if (publicKey === undefined) throw unreadable("a public key is none");
    this.#peer = {
      publicKey,
      presharedKey: null,
      endpoint: null,
      lastHandshakeMs: null,
      bytesIn: 0,
      bytesOut: 0,
      allowedIps: [],
    };
    this.#state.peers.set(publicKey, this.#peer);
  }
}

function readPeerLine(peer: PeerState, key: string, value: string): void {
  switch (key) {
    case "preshared_key":
      peer.presharedKey = presharedKeyOf(hexToKey(value));
      break;
    case "endpoint":
      peer.endpoint = value;
      break;
    case "last_handshake_time_sec": {
      const seconds = numberIn(value);
      if (seconds > 0) peer.lastHandshakeMs = (peer.lastHandshakeMs ?? 0) + seconds * 1_000;
      break;
    }
    case "last_handshake_time_nsec":
      // After the seconds; of a handshake that was never, both are zero.
      if (peer.lastHandshakeMs !== null) peer.lastHandshakeMs += Math.floor(numberIn(value) / 1_000_000);
      break;
    case "rx_bytes":
      peer.bytesIn = numberIn(value);
      break;
    case "tx_bytes":
      peer.bytesOut = numberIn(value);
      break;
    case "allowed_ip":
      peer.allowedIps.push(canonicalRange(value));
      break;
  }
}

function numberIn(text: string): number {
  const value = /^-?\d{1,20}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw unreadable("a number is none");
  return value;
}

function secretKey(hex: string): Secret | null {
  return presharedKeyOf(hexToKey(hex));
}

function unreadable(what: string): SallyportError {
  return new SallyportError("driver-failed", `the WireGuard interface gave an answer that cannot be read: ${what}`);
}
