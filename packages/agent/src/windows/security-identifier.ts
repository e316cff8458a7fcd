/** Accounts and groups that are the same on every Windows (winnt.h), as their security identifiers' text. */
export const wellKnown = {
  system: "S-1-5-18",
  administrators: "S-1-5-32-544",
  /** The system's own installer: what belongs to Windows belongs to it. */
  trustedInstaller: "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
} as const;

/** The text of a security identifier in memory (SID in winnt.h); undefined where there is none. */
export function sidText(bytes: Buffer): string | undefined {
  const count = bytes[1] ?? 0;
  if (bytes.length < 8 || bytes[0] !== 1 || count > 15 || bytes.length < 8 + count * 4) return undefined;
  const parts = Array.from({ length: count }, (_, at) => bytes.readUInt32LE(8 + at * 4));
  return ["S-1", bytes.readUIntBE(2, 6), ...parts].join("-");
}

/** As it lies in memory. @throws Error where the text is no security identifier */
export function sidBytes(text: string): Buffer {
  if (!/^S-1-\d{1,15}(-\d{1,10}){1,15}$/.test(text)) throw new Error(`${text} is no security identifier`);
  const [authority = 0, ...parts] = text.split("-").slice(2).map(Number);
  const bytes = Buffer.alloc(8 + parts.length * 4);
  bytes.writeUInt8(1, 0);
  bytes.writeUInt8(parts.length, 1);
  bytes.writeUIntBE(authority, 2, 6);
  for (const [at, part] of parts.entries()) bytes.writeUInt32LE(part, 8 + at * 4);
  return bytes;
}
