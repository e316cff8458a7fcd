import { describe, expect, it } from "vitest";
import { clockHint, enrolmentOf, enrolmentUri, matchTotp, newTotpSecret, readTotpCode } from "../../src/auth/totp.ts";

/** RFC 6238, appendix B: the SHA-1 secret, and the last six digits of its codes. */
const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const rfc: [seconds: number, code: string][] = [
  [59, "287082"],
  [1111111109, "081804"],
  [1111111111, "050471"],
  [1234567890, "005924"],
  [2000000000, "279037"],
  [20000000000, "353130"],
];
const at = (seconds: number) => new Date(seconds * 1000);
const begin = 1234567890;

describe("a code", () => {
  it.each(rfc)("is right as RFC 6238 has it at %i s", async (seconds, code) => {
    expect(await matchTotp({ secret, code, at: at(seconds) })).toEqual({
      matches: true,
      step: Math.floor(seconds / 30),
    });
  });

  it("is right for one half minute before and after its own, wherever in them it comes, and no longer", async () => {
    const step = Math.floor(begin / 30);
    const found = new Map<number, unknown>();
    for (let seconds = (step - 2) * 30; seconds < (step + 3) * 30; seconds += 1) {
      const match = await matchTotp({ secret, code: "005924", at: at(seconds) });
      if (match.matches) found.set(seconds, match.step);
    }
    expect([...found.keys()].at(0)).toBe((step - 1) * 30);
    expect([...found.keys()].at(-1)).toBe((step + 2) * 30 - 1);
    expect(found.size).toBe(90);
    expect(new Set(found.values())).toEqual(new Set([step]));
  });

  it.each([
    [2, -2],
    [-2, 2],
    [10, -10],
    [-10, 10],
    [11, null],
    [-11, null],
  ])("that comes %i half minutes late is not right, and what is told is %s", async (steps, offSteps) => {
    const late = at(begin + steps * 30);
    expect(await matchTotp({ secret, code: "005924", at: late })).toEqual({ matches: false, offSteps });
  });

  it("of another secret is wrong", async () => {
    const other = newTotpSecret();
    expect(other).toMatch(/^[A-Z2-7]{32}$/);
    expect((await matchTotp({ secret: other, code: "005924", at: at(begin) })).matches).toBe(false);
  });

  it("may be typed in groups", () => {
    expect(readTotpCode(" 005 924\n")).toBe("005924");
    expect(readTotpCode("005-924")).toBe("005924");
  });

  it.each(["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "１２３４５６", "+12345", "1e5000"])("is not %j", (text) => {
    expect(readTotpCode(text)).toBeUndefined();
  });
});

describe("a wrong clock", () => {
  it.each([
    [-3, "90 s behind"],
    [3, "90 s ahead of"],
  ])("is told with its direction: %i", (steps, words) => expect(clockHint(steps)).toContain(words));
});

describe("an enrolment", () => {
  const counts = (own: Record<string, string>) => "secret" in enrolmentOf(own);

  it("is a secret as Access Server or an administrator wrote it", () => {
    for (const written of ["GEZDGNBVGY3TQOJQ", "gezd gnbv gy3t qojq", "GEZDGNBVGY3TQOJQ======"]) {
      expect(enrolmentOf({ pvt_google_auth_secret: written })).toEqual({ secret: "GEZDGNBVGY3TQOJQ" });
    }
  });

  it("of Access Server's sixteen characters has codes", async () => {
    expect(await matchTotp({ secret: "GEZDGNBVGY3TQOJQ", code: "000000", at: at(begin) })).toMatchObject({
      matches: false,
    });
  });

  it.each<[string, Record<string, string>]>([
    ["nothing", {}],
    ["an empty secret", { pvt_google_auth_secret: "" }],
    ["a short one", { pvt_google_auth_secret: "GEZDGNBVGY3TQOJ" }],
    ["one that is not base32", { pvt_google_auth_secret: "0189012345678901" }],
    ["one never handed out", { pvt_google_auth_secret: "GEZDGNBVGY3TQOJQ", pvt_google_auth_secret_locked: "false" }],
  ])("is not %s", (_what, own) => expect(counts(own)).toBe(false));

  it("is what apps scan, whatever the user's name", () => {
    const uri = new URL(enrolmentUri({ issuer: "vpn.example.org", userId: "Ål: &?#ice", secret }));
    expect(uri.protocol).toBe("otpauth:");
    expect(decodeURIComponent(uri.pathname)).toContain("vpn.example.org:Ål: &?#ice");
    expect(Object.fromEntries(uri.searchParams)).toMatchObject({ secret, issuer: "vpn.example.org" });
  });
});
