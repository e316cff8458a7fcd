import { describe, expect, it } from "vitest";
import { localMethod } from "../../src/auth/methods/local.ts";
import { createPipeline } from "../../src/auth/pipeline.ts";
import type { AuthRequest } from "../../src/auth/step.ts";
import { checkAccount } from "../../src/auth/steps/check-account.ts";
import { checkCertificate } from "../../src/auth/steps/check-certificate.ts";
import { checkMethod } from "../../src/auth/steps/check-method.ts";
import { decodeCredentials } from "../../src/auth/steps/decode-credentials.ts";
import { placeInGroup } from "../../src/auth/steps/place-in-group.ts";
import { runPostAuth } from "../../src/auth/steps/run-post-auth.ts";
import type { AttemptRecord } from "../../src/core/attempt.ts";
import { SallyportError } from "../../src/core/errors.ts";
import type { PostAuthInput, PostAuthTerms, PostAuthVerdict } from "../../src/core/post-auth.ts";
import type { Properties } from "../../src/core/properties.ts";
import { Secret } from "../../src/core/secret.ts";
import type { ClientConfig } from "../../src/store/store.ts";

const device: ClientConfig = {
  id: "device-1",
  userId: "alice",
  profileId: "office",
  kind: "user-locked",
  protocol: "openvpn",
  connectionId: "cn-1",
  serial: "a1",
  createdAt: "2026-01-01T00:00:00.000Z",
  expiresAt: "2036-01-01T00:00:00.000Z",
  revokedAt: null,
};

type Options = {
  devices?: ClientConfig[];
  users?: Record<string, { password?: string; disabled?: boolean; properties?: Properties }>;
  groups?: Record<string, Properties>;
  defaultMethod?: string;
  terms?: Partial<PostAuthTerms>;
  script?: (input: PostAuthInput) => Partial<PostAuthVerdict>;
};

const yes = (input: PostAuthInput): PostAuthVerdict => ({
  outcome: "allow",
  user: input.authret.user,
  code: null,
  reason: input.authret.reason,
  clientReason: null,
  properties: input.authret.proplist,
  save: {},
  printed: "",
  traceback: null,
  warnings: [],
  durationMs: 1,
});

function pipeline(options: Options) {
  const attempts: AttemptRecord[] = [];
  const faults: unknown[] = [];
  const inputs: PostAuthInput[] = [];
  const users = options.users ?? { alice: { password: "right" } };
  const accounts = {
    async resolve(userId: string, overlay: Properties = {}) {
      const record = users[userId];
      const own = { ...record?.properties, ...overlay };
      const group = own.conn_group ? options.groups?.[own.conn_group] : undefined;
      const user = record && { id: userId, disabled: record.disabled ?? false, hasPassword: true, createdAt: "" };
      return { user, properties: { ...group, ...own } };
    },
    async group(name: string) {
      const properties = options.groups?.[name];
      return properties && { name, properties, subnets: [] };
    },
  };
  const postAuth = {
    async terms() {
      return { loaded: options.script !== undefined, authNull: false, groupSelect: false, ...options.terms };
    },
    async decide(input: PostAuthInput) {
      inputs.push(input);
      return { ...yes(input), ...options.script?.(input) };
    },
  };
  const local = localMethod({
    passwordDigest: async (userId) => (userId in users ? (users[userId]?.password ?? null) : undefined),
    verify: async (digest, password) => password.equals(digest),
    verifyNobody: async () => {},
  });
  const { decide } = createPipeline({
    steps: [
      decodeCredentials,
      checkCertificate({
        clientConfigs: {
          bySerial: async (serial) => (options.devices ?? [device]).find((one) => one.serial === serial),
        },
      }),
      checkMethod({ methods: [local], defaultMethod: async () => options.defaultMethod, accounts, postAuth }),
      checkAccount({ accounts }),
      runPostAuth({ postAuth, accounts }),
      placeInGroup({ accounts }),
    ],
    record: (attempt) => attempts.push(attempt),
    onFault: (_attempt, _step, error) => faults.push(error),
  });
  return { decide, attempts, faults, inputs };
}

const request = (more: Partial<AuthRequest> = {}): AuthRequest => ({
  kind: "connect",
  profileId: "office",
  protocol: "openvpn",
  username: "alice",
  password: new Secret("right"),
  certificate: { commonName: "cn-1", serial: "a1" },
  clientAddress: "192.0.2.7",
  clientPort: 50000,
  hardwareAddress: undefined,
  clientInfo: { IV_PLAT: "linux" },
  certificateFields: {},
  ...more,
});

async function codeOf(options: Options, more: Partial<AuthRequest> = {}) {
  const decision = await pipeline(options).decide(request(more));
  return decision.outcome === "deny" ? decision.code : "allow";
}

describe("the auth pipeline", () => {
  it("lets the right password in and records every step", async () => {
    const { decide, attempts } = pipeline({});
    expect(await decide(request())).toMatchObject({ outcome: "allow", userId: "alice", authMethod: "local" });
    expect(attempts[0]?.trace.map(({ step, outcome }) => [step, outcome])).toEqual([
      ["decode credentials", "passed"],
      ["check certificate", "passed"],
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
    ["a name of 65 bytes", "credentials-malformed", {}, { username: "a".repeat(65) }],
    ["a password with a NUL", "credentials-malformed", {}, { password: new Secret("a\0b") }],
    ["a password of 10 MB", "credentials-malformed", {}, { password: new Secret("x".repeat(10_000_000)) }],
    ["a broken static challenge", "credentials-malformed", {}, { password: new Secret("SCRV1:only-one") }],
    ["an answer to no question", "challenge-unsupported", {}, { password: new Secret("CRV1::state::42") }],
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
    ["prop_deny set by a script", "access-denied", { script: () => ({ properties: { prop_deny: "true" } }) }, {}],
  ])("refuses %s as %s", async (_what, code, options, more) => {
    expect(await codeOf(options, more)).toBe(code);
  });

  it("checks the password before it tells that an account is disabled", async () => {
    const users = { alice: { password: "right", disabled: true } };
    expect(await codeOf({ users }, { password: new Secret("wrong") })).toBe("wrong-credentials");
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
      record: () => {},
      onFault: () => {},
    });
    expect(await decide(request())).toMatchObject({ code: "store-unavailable" });
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
