import { expect, test } from "vitest";
import { withoutSignature } from "../../../../scripts/windows-signature.ts";

const [header, entry] = [0x80, 0x80 + 24 + 112 + 4 * 8];

/** The parts of a program for Windows that matter to who signs it. */
function program(signature: Buffer): Buffer {
  const file = Buffer.alloc(1024, "program");
  file.writeUInt32LE(header, 0x3c);
  file.write("PE\0\0", header, "latin1");
  file.writeUInt16LE(0x20b, header + 24);
  file.writeUInt32LE(0x1234, header + 24 + 64);
  file.writeUInt32LE(signature.length === 0 ? 0 : file.length, entry);
  file.writeUInt32LE(signature.length, entry + 4);
  return Buffer.concat([file, signature]);
}

test("a program for Windows loses its signature and what leads to it, and nothing else", () => {
  const signed = program(Buffer.alloc(64, "signature"));
  const bare = withoutSignature(signed);
  expect(bare).toHaveLength(1024);
  expect([bare.readUInt32LE(entry), bare.readUInt32LE(entry + 4), bare.readUInt32LE(header + 24 + 64)]).toEqual([
    0, 0, 0,
  ]);
  signed.fill(0, entry, entry + 8).fill(0, header + 24 + 64, header + 24 + 68);
  expect(bare.equals(signed.subarray(0, 1024))).toBe(true);
});

test("one that nobody signed stays as it is", () => {
  const bare = program(Buffer.alloc(0));
  expect(withoutSignature(bare).equals(bare)).toBe(true);
});

test("what is no program for Windows, or goes on behind its signature, is not guessed at", () => {
  expect(() => withoutSignature(Buffer.alloc(1024))).toThrow("no program for Windows");
  const more = Buffer.concat([program(Buffer.alloc(64, "signature")), Buffer.from("more")]);
  expect(() => withoutSignature(more)).toThrow("not at its end");
});
