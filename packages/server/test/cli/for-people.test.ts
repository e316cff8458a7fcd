import fc from "fast-check";
import { expect, test } from "vitest";
import {
  details,
  localTime,
  readableBytes,
  readableDuration,
  table,
  timeAgo,
  visible,
  visibleLines,
} from "../../src/cli/for-people.ts";

test("no character that a terminal obeys is printed, whatever a name holds", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(visible(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      expect(table(["A"], [[text]]).split("\n")).toHaveLength(3);
      expect(visibleLines(text)).not.toMatch(/[^\P{Cc}\n\t]|[\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    }),
  );
  expect(visible("a\u001b[31mb\nc\u202ed")).toBe("a\\x1b[31mb\\nc\\u{202e}d");
});

test("ordinary names come out as they are, in any script", () => {
  expect(visible("Zoë O'Hara 山田 😀")).toBe("Zoë O'Hara 山田 😀");
});

test("columns are aligned and lines have no spaces at their ends", () => {
  expect(
    table(
      ["NAME", "STATE"],
      [
        ["al", "enabled"],
        ["bartholomew", "off"],
      ],
    ),
  ).toBe("NAME         STATE\nal           enabled\nbartholomew  off\n");
});

test("details leave out what has no value", () => {
  expect(
    details([
      ["id", "1"],
      ["ended", null],
      ["reason", "x"],
    ]),
  ).toBe("id      1\nreason  x\n");
});

test("bytes and durations are read at a glance", () => {
  expect([0, 999, 1000, 1536, 99_500, 999_499, 1_500_000, 2e12].map(readableBytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 kB",
    "1.5 kB",
    "100 kB",
    "999 kB",
    "1.5 MB",
    "2.0 TB",
  ]);
  expect([0, 59.9, 60, 3599, 3600, 90_000].map(readableDuration)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h 0 min",
    "1 d 1 h",
  ]);
});

test("a moment is shown in the reader's time zone", () => {
  const at = new Date(2026, 0, 2, 3, 4, 5);
  expect(localTime(at.toISOString())).toBe("2026-01-02 03:04:05");
  expect(localTime(null)).toBe("-");
});

test("a span is so long ago, a time is itself, and anything else is neither", () => {
  const now = Date.UTC(2026, 5, 15, 12);
  expect(timeAgo("24h", now)).toBe("2026-06-14T12:00:00.000Z");
  expect(timeAgo("90s", now)).toBe("2026-06-15T11:58:30.000Z");
  expect(timeAgo("2026-06-01T00:00:00Z", now)).toBe("2026-06-01T00:00:00.000Z");
  for (const wrong of ["", "h", "1y", "-1h", "yesterday", "999999999d", "2026-13-01", "1"])
    expect(timeAgo(wrong, now)).toBeUndefined();
});
