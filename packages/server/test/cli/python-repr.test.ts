import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { pythonDict, pythonString } from "../../src/cli/python-repr.ts";

/** Python reads the literal back and writes it its own way: both must be what we wrote and meant. This Python may know fewer characters. */
const judge = `
import ast, json, sys, unicodedata
for line in sys.stdin:
    value, written = json.loads(line)
    newer = any(unicodedata.category(c) == 'Cn' for c in str(value))
    print(json.dumps([ast.literal_eval(written) == value, newer or repr(value) == written]))
`;

function pythonAgrees(cases: readonly (readonly [value: unknown, written: string])[]): void {
  const input = cases.map((one) => JSON.stringify(one)).join("\n");
  const answers = execFileSync("python3", ["-X", "utf8", "-c", judge], { input, maxBuffer: 64e6, encoding: "utf8" });
  const lines = answers.trim().split("\n");
  expect(lines).toHaveLength(cases.length);
  for (const [index, line] of lines.entries()) {
    expect([cases[index]?.[1], JSON.parse(line)]).toEqual([cases[index]?.[1], [true, true]]);
  }
}

test("strings are written exactly as Python writes them", () => {
  const texts = [
    "",
    "plain",
    "it's",
    'say "hi"',
    `both ' and "`,
    "back\\slash",
    "a\tb\nc\rd",
    "\u0000\u001b[31m\u007f",
    "\u00a0",
    "ä€😀",
    "\u2028\u200b\ufeff\u00ad",
  ];
  pythonAgrees(texts.map((text) => [text, pythonString(text)]));
});

test("any string is written so that Python reads the same back, and would write it so", () => {
  const written: [string, string][] = [];
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      written.push([text, pythonString(text)]);
    }),
    { numRuns: 300 },
  );
  pythonAgrees(written);
});

test("a dict keeps the order of its keys", () => {
  const values = { type: "user_connect", conn_group: "eng", pvt_note: "it's \\ 'x'" };
  expect(pythonDict({ b: "2", a: "1" })).toBe("{'b': '2', 'a': '1'}");
  expect(pythonDict({})).toBe("{}");
  pythonAgrees([[values, pythonDict(values)]]);
});
