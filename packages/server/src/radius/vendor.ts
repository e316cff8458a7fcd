import { attribute, type RadiusAttribute } from "./packet.ts";

/** One value of a Vendor-Specific attribute in the usual form (RFC 2865 section 5.26). */
export type VendorValue = { vendor: number; type: number; value: Buffer };

/** IANA's private enterprise numbers. */
export const vendor = { microsoft: 311 } as const;

export function encodeVendorSpecific({ vendor, type, value }: VendorValue): RadiusAttribute {
  const header = Buffer.alloc(6);
  header.writeUInt32BE(vendor, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(2 + value.length, 5);
  return { type: attribute.vendorSpecific, value: Buffer.concat([header, value]) };
}

/** Every value in one Vendor-Specific attribute; undefined where the vendor uses another form. */
export function decodeVendorSpecific(bytes: Buffer): VendorValue[] | undefined {
  if (bytes.length < 6) return undefined;
  const vendor = bytes.readUInt32BE(0);
  const values: VendorValue[] = [];
  for (let at = 4; at < bytes.length; ) {
    const type = bytes[at];
    const size = bytes[at + 1];
    if (type === undefined || size === undefined || size < 2 || at + size > bytes.length) return undefined;
    values.push({ vendor, type, value: bytes.subarray(at + 2, at + size) });
    at += size;
  }
  return values;
}
