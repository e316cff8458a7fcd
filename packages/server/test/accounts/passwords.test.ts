import { describe, expect, it } from "vitest";
import { createPasswords, nobodysDigest } from "../../src/accounts/passwords.ts";
import { Secret } from "../../src/core/secret.ts";

const parameters = (digest: string) => digest.split("$").slice(1, 4).join("$");

describe("a password's digest", () => {
  it("is argon2id with 19 MiB, two passes and one lane, salted, and verifies that password alone", async () => {
    const passwords = createPasswords();
    const [first, second] = await Promise.all([
      passwords.hash(new Secret("correct horse")),
      passwords.hash(new Secret("correct horse")),
    ]);
    expect(parameters(first ?? "")).toBe("argon2id$v=19$m=19456,t=2,p=1");
    expect(first).not.toBe(second);
    expect(await passwords.verify(first ?? "", new Secret("correct horse"))).toBe(true);
    for (const wrong of ["correct horsf", "", "correct horse ", "Correct horse", "x".repeat(100_000)])
      expect(await passwords.verify(first ?? "", new Secret(wrong))).toBe(false);
  });

  it("costs nobody as much as somebody, so that timing does not tell who exists", async () => {
    const digest = await createPasswords().hash(new Secret("x"));
    expect(parameters(nobodysDigest)).toBe(parameters(digest));
    expect(nobodysDigest.length).toBe(digest.length);
    await createPasswords().verifyNobody(new Secret("x"));
  });

  it("that cannot be read is an outage, not a wrong password", async () => {
    for (const digest of ["", "nonsense", "$argon2id$v=19$m=19456,t=2,p=1$"]) {
      await expect(createPasswords().verify(digest, new Secret("x"))).rejects.toMatchObject({ code: "internal" });
    }
  });

  it("keeps bytes that are no ASCII apart", async () => {
    const passwords = createPasswords();
    const digest = await passwords.hash(new Secret("pässwörd\u{1f600}"));
    expect(await passwords.verify(digest, new Secret("pässwörd\u{1f600}"))).toBe(true);
    expect(await passwords.verify(digest, new Secret("password\u{1f600}"))).toBe(false);
  });
});

describe("a password of which only the SHA-256 is known", () => {
  const sha256 = new Secret("5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8");

  it("lets in whoever types it, and not whoever has read its SHA-256", async () => {
    const passwords = createPasswords();
    const digest = await passwords.hashSha256(sha256);
    expect(digest).not.toContain(sha256.reveal());
    expect(await passwords.verify(digest, new Secret("password"))).toBe(true);
    expect(await passwords.verify(digest, new Secret("Password"))).toBe(false);
    expect(await passwords.verify(digest, sha256)).toBe(false);
  });

  it("may be given in capitals", async () => {
    const passwords = createPasswords();
    const digest = await passwords.hashSha256(new Secret(sha256.reveal().toUpperCase()));
    expect(await passwords.verify(digest, new Secret("password"))).toBe(true);
  });
});

describe("many at once", () => {
  it("wait their turn up to a bound; the rest is told too-busy at once, and places come free again", async () => {
    const passwords = createPasswords({ atOnce: 1, mostWaiting: 2 });
    const all = () => Promise.allSettled(Array.from({ length: 5 }, () => passwords.verifyNobody(new Secret("x"))));
    for (const results of [await all(), await all()]) {
      expect(results.map((result) => result.status)).toEqual([
        "fulfilled",
        "fulfilled",
        "fulfilled",
        "rejected",
        "rejected",
      ]);
      for (const result of results)
        if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "too-busy" });
    }
  });

  it("give their place on after a failure too", async () => {
    const passwords = createPasswords({ atOnce: 1, mostWaiting: 10 });
    const results = await Promise.allSettled([
      passwords.verify("nonsense", new Secret("x")),
      passwords.verify("nonsense", new Secret("x")),
      passwords.verifyNobody(new Secret("x")),
    ]);
    expect(results.map((result) => result.status)).toEqual(["rejected", "rejected", "fulfilled"]);
  });

  it("run beside the loop, which goes on meanwhile", async () => {
    const passwords = createPasswords();
    let turns = 0;
    let done = false;
    const turning = (async () => {
      while (!done) {
        turns += 1;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await Promise.all(Array.from({ length: 6 }, () => passwords.verifyNobody(new Secret("x"))));
    done = true;
    await turning;
    expect(turns).toBeGreaterThan(50);
  });
});
