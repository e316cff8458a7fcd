/**
 * A PE file (Microsoft's PE format specification) without its Authenticode signature, which is that of the file before it
 * was changed: Windows says of such a one that it was tampered with, and of a file without any only that nobody signed it.
 */
export function withoutSignature(file: Buffer): Buffer {
  const header = file.readUInt32LE(0x3c);
  if (file.toString("latin1", header, header + 4) !== "PE\0\0") throw new Error("this is no program for Windows");
  const optional = header + 24;
  const isPlus = file.readUInt16LE(optional) === 0x20b;
  // The fifth of the data directories; it alone holds a place in the file rather than in memory.
  const entry = optional + (isPlus ? 112 : 96) + 4 * 8;
  const [start, size] = [file.readUInt32LE(entry), file.readUInt32LE(entry + 4)];
  if (start === 0) return file;
  if (start + size !== file.length) throw new Error("its signature is not at its end");
  const rest = Buffer.from(file.subarray(0, start));
  // The checksum is of the whole file; 0 is none.
  rest.writeUInt32LE(0, optional + 64);
  rest.fill(0, entry, entry + 8);
  return rest;
}
