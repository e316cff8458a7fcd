import fc from "fast-check";
import { expect, test } from "vitest";
import { diffLines, hunks } from "../../src/cli/line-diff.ts";

const lines = fc.array(fc.constantFrom("a", "b", "c", ""), { maxLength: 30 });

test("a comparison holds the old and the new whole, and changes no more than must be", () => {
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const found = diffLines(before, after);
      const kept = (marks: string) => found.filter(({ mark }) => marks.includes(mark)).map(({ text }) => text);
      expect(kept(" -")).toEqual(before);
      expect(kept(" +")).toEqual(after);
      expect(kept(" ")).toHaveLength(longestCommon(before, after));
    }),
  );
});

/** The textbook way, slow and plain. */
function longestCommon(a: readonly string[], b: readonly string[]): number {
  const best = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = 1; i <= a.length; i += 1) {
    for (let j = 1; j <= b.length; j += 1) {
      const [left = 0, up = 0, corner = 0] = [best[i]?.[j - 1], best[i - 1]?.[j], best[i - 1]?.[j - 1]];
      (best[i] as number[])[j] = a[i - 1] === b[j - 1] ? corner + 1 : Math.max(left, up);
    }
  }
  return best[a.length]?.[b.length] ?? 0;
}

test("only what differs is shown, with what surrounds it", () => {
  const before = Array.from({ length: 20 }, (_, i) => `${i}`);
  const after = before.with(10, "ten");
  expect(hunks(diffLines(before, after), 1)).toEqual([" 9", "-10", "+ten", " 11", "..."]);
  expect(hunks(diffLines(before, before))).toEqual([]);
});
