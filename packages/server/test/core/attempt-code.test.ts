import fc from "fast-check";
import { expect, test } from "vitest";
import { attemptCode, idEndingsOf, withAttemptCode } from "../../src/core/attempt-code.ts";
import { newId } from "../../src/core/id.ts";

test("an attempt's code leads back to its id, also typed in small letters and with look-alikes", () => {
  for (let i = 0; i < 1000; i += 1) {
    const id = newId();
    const code = attemptCode(id);
    expect(code).toMatch(/^[0-9A-HJKMNP-TV-Z]{6}$/);
    for (const typed of [code, code.toLowerCase(), ` ${code.replaceAll("0", "O").replaceAll("1", "l")} `]) {
      expect(idEndingsOf(typed)?.filter((ending) => id.endsWith(ending))).toHaveLength(1);
    }
  }
});

test("what is no code leads nowhere", () => {
  for (const text of ["", "K7Q2M", "K7Q2MXX", "K7Q2MU", "K7Q-MX", "script-denied"])
    expect(idEndingsOf(text)).toBeUndefined();
});

test("a reason with its code fits into what OpenVPN can tell a client, whatever the reason, and the code is whole", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 400 }), (reason) => {
      const id = newId();
      const text = withAttemptCode(reason, id);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(220);
      expect(text.endsWith(` (code ${attemptCode(id)})`)).toBe(true);
      expect(text.isWellFormed()).toBe(true);
    }),
  );
  expect(withAttemptCode("Not today.", "00000000-0000-7000-8000-000000000021")).toBe("Not today. (code 000011)");
});
