import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { readLines } from "../../src/service/lines.ts";

async function linesOf(chunks: readonly string[], mostBytes: number): Promise<{ lines: string[]; ended: boolean }> {
  const stream = new PassThrough();
  const lines: string[] = [];
  readLines(stream as unknown as Socket, mostBytes, (line) => lines.push(line));
  for (const chunk of chunks) {
    stream.write(chunk);
    await new Promise((done) => setImmediate(done));
  }
  return { lines, ended: stream.destroyed };
}

test.each([
  ["in pieces", ["ab", "c\nd", "ef\n"], ["abc", "def"], false],
  ["several in a chunk, longer together than one may be", ["abcd\nefgh\nij\n"], ["abcd", "efgh", "ij"], false],
  ["one that is too long in pieces", ["ab\n", "cde", "fgh"], ["ab"], true],
  ["one that is too long and whole in its chunk", ["ab\ncdefgh\n"], ["ab"], true],
  ["one whose last piece makes it too long", ["abcd", "ef\n"], [], true],
])("lines: %s", async (_, chunks, lines, ended) => {
  expect(await linesOf(chunks, 5)).toEqual({ lines, ended });
});
