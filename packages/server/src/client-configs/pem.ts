/** Text form of a key or certificate (RFC 7468): lines of 64 characters. */
export function toPem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** The bytes of the first block of that label; undefined where there is none. */
export function fromPem(label: string, pem: string): Buffer | undefined {
  const [begin, end] = [`-----BEGIN ${label}-----`, `-----END ${label}-----`];
  const from = pem.indexOf(begin);
  const to = pem.indexOf(end, from);
  if (from < 0 || to < 0) return undefined;
  return Buffer.from(pem.slice(from + begin.length, to), "base64");
}
