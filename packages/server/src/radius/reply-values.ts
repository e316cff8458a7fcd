import ipaddr from "ipaddr.js";
import { microsoft } from "./mschapv2.ts";
import { attribute, type RadiusPacket } from "./packet.ts";
import { decodeVendorSpecific, vendor } from "./vendor.ts";

type Kind = "address" | "integer" | "tagged-integer" | "tagged-text" | "ipv6" | "ipv6-prefix" | "key";

const kinds = new Map<number, Kind>();
const are = (kind: Kind, ...types: number[]) => {
  for (const type of types) kinds.set(type, kind);
};
// From the RADIUS registry; what is not here is text where it is text, and bytes otherwise.
are("address", 4, 8, 9, 14, 23);
are("integer", 5, 6, 7, 10, 12, 13, 15, 16, 27, 28, 29, 37, 38, 40, 41, 42, 43, 45, 46, 47, 48, 49, 51, 52, 53, 55);
are("integer", 61, 62, 72, 73, 75, 76, 85, 101);
are("tagged-integer", 64, 65, 83);
are("tagged-text", 66, 67, 81, 82, 90, 91);
are("ipv6", 95, 98, 168, 169);
are("ipv6-prefix", 97, 123);
// Tunnel-Password: hidden with the shared secret.
are("key", 69);

/** Key material, hidden with the shared secret, and proofs about the password: nothing a script should see. */
const vendorKeys = new Set(
  [microsoft.sendKey, microsoft.receiveKey, microsoft.success, 12].map((type) => `${vendor.microsoft}.${type}`),
);

/**
 * A reply's attributes as scripts read them: number to values, in the packet's order. Addresses and numbers are written
 * as such (`10.0.0.1`, `3600`), text is text, other bytes are `0x…`. Vendor-Specific (26) has one `VENDOR.TYPE=VALUE`
 * for each value, as in `9.1=shell:priv-lvl=15`. Encryption keys are left out.
 */
export function replyValues(packet: RadiusPacket): Record<number, string[]> {
  const values: Record<number, string[]> = {};
  for (const { type, value } of packet.attributes) {
    const texts = type === attribute.vendorSpecific ? vendorTexts(value) : textsOf(type, value);
    if (texts.length > 0) values[type] = [...(values[type] ?? []), ...texts];
  }
  return values;
}

function vendorTexts(bytes: Buffer): string[] {
  const values = decodeVendorSpecific(bytes);
  if (values === undefined) return [hex(bytes)];
  const told = values.filter(({ vendor, type }) => !vendorKeys.has(`${vendor}.${type}`));
  return told.map(({ vendor, type, value }) => `${vendor}.${type}=${textOrHex(value)}`);
}

function textsOf(type: number, value: Buffer): string[] {
  const { length } = value;
  switch (kinds.get(type)) {
    case "key":
      return [];
    case "address":
      return [length === 4 ? value.join(".") : hex(value)];
    case "integer":
      return [length === 4 ? String(value.readUInt32BE()) : hex(value)];
    case "tagged-integer":
      return [length === 4 ? String(value.readUIntBE(1, 3)) : hex(value)];
    case "tagged-text": {
      const tagged = length > 0 && value.readUInt8(0) <= 0x1f;
      return [textOrHex(tagged ? value.subarray(1) : value)];
    }
    case "ipv6":
      return [length === 16 ? ipv6(value) : hex(value)];
    case "ipv6-prefix": {
      const bits = length < 2 ? 129 : value.readUInt8(1);
      if (bits > 128 || length > 18) return [hex(value)];
      return [`${ipv6(Buffer.concat([value.subarray(2), Buffer.alloc(16)]).subarray(0, 16))}/${bits}`];
    }
    default:
      return [textOrHex(value)];
  }
}

const ipv6 = (bytes: Buffer) => ipaddr.fromByteArray([...bytes]).toString();

const hex = (bytes: Buffer) => `0x${bytes.toString("hex")}`;

/** Text is UTF-8 without control characters. */
function textOrHex(bytes: Buffer): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[^\P{Cc}\t\r\n]/u.test(text) ? hex(bytes) : text;
  } catch {
    return hex(bytes);
  }
}
