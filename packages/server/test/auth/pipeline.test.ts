import { describe, expect, it } from "vitest";
import { createPipeline } from "../../src/auth/pipeline.ts";
import type { AuthRequest } from "../../src/auth/step.ts";
import type { AttemptRecord } from "../../src/core/attempt.ts";
import { SallyportError } from "../../src/core/errors.ts";
import { Secret } from "../../src/core/secret.ts";
import type { ClientConfig } from "../../src/store/store.ts";
import { codeOf, device, type Options, pipeline, request } from "./pipeline-under-test.ts";

describe("the auth pipeline", () => {
  it("lets the right password in and records every step", async () => {
    const { decide, attempts } = pipeline({});
    expect(await decide(request())).toMatchObject({ outcome: "allow", userId: "alice", authMethod: "local" });
    expect(attempts[0]?.trace.map(({ step, outcome }) => [step, outcome])).toEqual([
      ["decode credentials", "passed"],
      ["check certificate", "passed"],
      ["resume challenge", "skipped"],
      ["resume session", "skipped"],
      ["check method", "passed"],
      ["check account", "passed"],
      ["post-auth", "skipped"],
      ["place in group", "passed"],
    ]);
  });

  it.each<[string, string, Options, Partial<AuthRequest>]>([
    ["a wrong password", "wrong-credentials", {}, { password: new Secret("wrong") }],
    ["an unknown name", "wrong-credentials", { devices: [{ ...device, userId: null }] }, { username: "nobody" }],
    ["an account without a password", "wrong-credentials", { users: { alice: {} } }, {}],
    ["no name", "credentials-missing", {}, { username: undefined }],
    ["no password", "credentials-missing", {}, { password: undefined }],
    ["a name with a newline", "credentials-malformed", {}, { username: "alice\nbob" }],
    ["a name with a NUL", "credentials-malformed", {}, { username: "alice\0" }],
    ["a name of nothing but a space", "credentials-malformed", {}, { username: " " }],
    ["a name of 65 bytes", "credentials-malformed", {}, { username: "a".repeat(65) }],
    ["a password with a NUL", "credentials-malformed", {}, { password: new Secret("a\0b") }],
    ["a password of 10 MB", "credentials-malformed", {}, { password: new Secret("x".repeat(10_000_000)) }],
    ["a broken static challenge", "credentials-malformed", {}, { password: new Secret("SCRV1:only-one") }],
    ["an answer to no question", "challenge-stale", {}, { password: new Secret("CRV1::state::42") }],
    ["a disabled account", "account-disabled", { users: { alice: { password: "right", disabled: true } } }, {}],
    ["prop_deny", "access-denied", { users: { alice: { password: "right", properties: { prop_deny: "true" } } } }, {}],
    ["no certificate", "certificate-missing", {}, { certificate: undefined }],
    ["an unknown certificate", "certificate-unknown", { devices: [] }, {}],
    [
      "a revoked device",
      "certificate-revoked",
      { devices: [{ ...device, revokedAt: "2026-02-01T00:00:00.000Z" }] },
      {},
    ],
    [
      "an expired device",
      "certificate-expired",
      { devices: [{ ...device, expiresAt: "2026-02-01T00:00:00.000Z" }] },
      {},
    ],
    ["another profile's device", "certificate-other-profile", {}, { profileId: "lab" }],
    ["another user's device", "certificate-other-user", { users: { bob: { password: "right" } } }, { username: "bob" }],
    ["a method that is not set up", "no-auth-method", { defaultMethod: "ldap" }, {}],
    ["pas_only without a script", "script-missing", { defaultMethod: "pas_only" }, {}],
    [
      "a group that does not exist",
      "group-unknown",
      { users: { alice: { password: "right", properties: { conn_group: "x" } } } },
      {},
    ],
    [
      "a script's no",
      "script-denied",
      { script: () => ({ outcome: "deny", code: "script-denied", reason: "no" }) },
      {},
    ],
    ["a name from a script that nobody can have", "script-bad-result", { script: () => ({ user: "a\nb" }) }, {}],
    [
      "a blank name from a method",
      "credentials-malformed",
      {
        methods: [
          {
            name: "ldap",
            check: async () => ({ outcome: "accepted" as const, userId: "\u00a0", reason: "yes", info: {} }),
          },
        ],
        defaultMethod: "ldap",
      },
      {},
    ],
    ["prop_deny set by a script", "access-denied", { script: () => ({ properties: { prop_deny: "true" } }) }, {}],
  ])("refuses %s as %s", async (_what, code, options, more) => {
    expect(await codeOf(options, more)).toBe(code);
  });

  it("checks the password before it tells that an account is disabled", async () => {
    const users = { alice: { password: "right", disabled: true } };
    expect(await codeOf({ users }, { password: new Secret("wrong") })).toBe("wrong-credentials");
  });

  it("lets an auto-login device in by its certificate, where its user may", async () => {
    const devices: ClientConfig[] = [{ ...device, kind: "auto-login" }];
    const bare = { username: undefined, password: undefined };
    expect(await codeOf({ devices }, bare)).toBe("autologin-not-allowed");
    const users = { alice: { properties: { prop_autologin: "true" } } };
    const { decide, inputs } = pipeline({ devices, users, script: () => ({}) });
    expect(await decide(request(bare))).toMatchObject({ outcome: "allow", authMethod: "autologin", userId: "alice" });
    expect(inputs[0]?.info.auth_method).toBe("autologin");
  });

  it("takes certificates of others, or none, where the profile's server checks them", async () => {
    const attached = { profileId: "attached" };
    const theirs = { commonName: "laptop", serial: "1" };
    const { decide } = pipeline({});
    for (const certificate of [theirs, undefined, { commonName: "laptop", serial: "a1" }]) {
      expect(await decide(request({ ...attached, certificate }))).toMatchObject({ outcome: "allow", userId: "alice" });
    }
    expect(await codeOf({}, { ...attached, certificate: undefined, password: new Secret("x") })).toBe(
      "wrong-credentials",
    );
    expect(await codeOf({}, { certificate: theirs })).toBe("certificate-unknown");
  });

  it("holds a certificate of ours to our rules also where any is taken", async () => {
    const mine = { ...device, profileId: "attached" };
    const revoked = { devices: [{ ...mine, revokedAt: "2026-02-01T00:00:00.000Z" }] };
    expect(await codeOf(revoked, { profileId: "attached" })).toBe("certificate-revoked");
    expect(await codeOf({}, { profileId: "attached" })).toBe("certificate-other-profile");
  });

  it("lets anybody with credentials use a server-locked device", async () => {
    const devices: ClientConfig[] = [{ ...device, userId: null, kind: "server-locked" }];
    const users = { alice: { password: "right" }, bob: { password: "right" } };
    const { decide } = pipeline({ devices, users });
    expect(await decide(request({ username: "bob" }))).toMatchObject({ outcome: "allow", userId: "bob" });
    expect(await codeOf({ devices, users }, { username: undefined, password: undefined })).toBe("credentials-missing");
  });

  it("takes a static challenge's answer apart", async () => {
    const b64 = (text: string) => Buffer.from(text).toString("base64");
    const { decide, inputs } = pipeline({ script: () => ({}) });
    const password = new Secret(`SCRV1:${b64("right")}:${b64("123456")}`);
    expect(await decide(request({ password }))).toMatchObject({ outcome: "allow" });
    expect(inputs[0]?.authcred.static_response?.reveal()).toBe("123456");
  });

  it("lets AUTH_NULL scripts decide alone", async () => {
    const options: Options = { users: {}, terms: { authNull: true }, script: () => ({}) };
    expect(await pipeline(options).decide(request())).toMatchObject({ outcome: "allow", authMethod: "pas_only" });
  });

  it("applies what a script changed, in the group it chose", async () => {
    const options: Options = {
      groups: { old: { a: "old", b: "old" }, eng: { a: "eng", b: "eng" } },
      users: { alice: { password: "right", properties: { conn_group: "old" } } },
      script: ({ authret }) => ({ properties: { ...authret.proplist, conn_group: "eng", b: "script" } }),
    };
    const { decide, attempts } = pipeline(options);
    expect(await decide(request())).toMatchObject({
      group: { name: "eng" },
      properties: { conn_group: "eng", a: "eng", b: "script" },
    });
    expect(attempts[0]?.trace.find(({ step }) => step === "post-auth")?.changes).toMatchObject({
      conn_group: ["old", "eng"],
      b: ["old", "script"],
    });
  });

  it("names in the trace who said no, and what else was wrong with the answer", async () => {
    const by = "gate (version 3)";
    const script = () => ({ outcome: "deny" as const, reason: "not today", by, warnings: ["reason: a number"] });
    const { decide, attempts } = pipeline({ users: { alice: { password: "right" } }, script });
    expect(await decide(request())).toMatchObject({ code: "script-denied", reason: "not today" });
    expect(attempts[0]?.trace.at(-1)).toMatchObject({ detail: "not today", by, warnings: ["reason: a number"] });
  });

  it("gives GROUP_SELECT scripts an empty property list and looks up after them, saved values included", async () => {
    const options: Options = {
      groups: { eng: { a: "eng" } },
      terms: { groupSelect: true },
      script: () => ({ save: { conn_group: "eng" } }),
    };
    const { decide, inputs } = pipeline(options);
    expect(await decide(request())).toMatchObject({ properties: { conn_group: "eng", a: "eng" } });
    expect(inputs[0]?.authret.proplist).toEqual({});
  });

  it("denies when a step breaks, tells the person nothing of it, and keeps the cause", async () => {
    const broken = createPipeline({
      steps: [{ name: "broken", run: () => Promise.reject(new Error("secret path /etc")) }],
      challenges: { put: async () => {} },
      mostQuestions: () => 10,
      usualSessionSeconds: async () => 0,
      record: (attempt) => attempts.push(attempt),
      onFault: () => {},
    });
    const attempts: AttemptRecord[] = [];
    const decision = await broken.decide(request());
    expect(decision).toMatchObject({ outcome: "deny", code: "internal", reason: "broken: secret path /etc" });
    expect(decision.outcome === "deny" && decision.clientReason).not.toContain("/etc");
    expect(attempts).toHaveLength(1);
  });

  it("keeps an outage's own code", async () => {
    const down = new SallyportError("store-unavailable", "disk full");
    const { decide } = createPipeline({
      steps: [{ name: "x", run: () => Promise.reject(down) }],
      challenges: { put: async () => {} },
      mostQuestions: () => 10,
      usualSessionSeconds: async () => 0,
      record: () => {},
      onFault: () => {},
    });
    expect(await decide(request())).toMatchObject({ code: "store-unavailable" });
  });

  it("records that a script changed a secret property, and not to what", async () => {
    const script: Options["script"] = () => ({ properties: { pvt_google_auth_secret: "JBSWY3DPEHPK3PXP" } });
    const { decide, attempts } = pipeline({ script });
    expect(await decide(request())).toMatchObject({ outcome: "allow" });
    expect(JSON.stringify(attempts)).toContain("pvt_google_auth_secret");
    expect(JSON.stringify(attempts)).not.toContain("JBSWY3DPEHPK3PXP");
  });

  it("records no secret", async () => {
    const { decide, attempts } = pipeline({
      users: { alice: { password: "right-password", properties: { pvt_google_auth_secret: "TOTPSECRET" } } },
      script: () => ({}),
    });
    await decide(request({ password: new Secret("right-password") }));
    const text = JSON.stringify(attempts);
    expect(text).not.toContain("right-password");
    expect(text).not.toContain("TOTPSECRET");
    expect(text).toContain("pvt_google_auth_secret");
  });
});
