import { describe, expect, it } from "vitest";
import { localMethod } from "../../src/auth/methods/local.ts";
import type { Method } from "../../src/auth/methods/method.ts";
import { createPipeline } from "../../src/auth/pipeline.ts";
import type { AuthRequest } from "../../src/auth/step.ts";
import { checkAccount } from "../../src/auth/steps/check-account.ts";
import { checkCertificate } from "../../src/auth/steps/check-certificate.ts";
import { checkMethod } from "../../src/auth/steps/check-method.ts";
import { decodeCredentials } from "../../src/auth/steps/decode-credentials.ts";
import { placeInGroup } from "../../src/auth/steps/place-in-group.ts";
import { resumeChallenge } from "../../src/auth/steps/resume-challenge.ts";
import { resumeSession } from "../../src/auth/steps/resume-session.ts";
import { runPostAuth } from "../../src/auth/steps/run-post-auth.ts";
import type { AttemptRecord } from "../../src/core/attempt.ts";
import type { Decision } from "../../src/core/decision.ts";
import { SallyportError } from "../../src/core/errors.ts";
import type { PostAuthContext, PostAuthInput, PostAuthTerms, PostAuthVerdict } from "../../src/core/post-auth.ts";
import type { Properties } from "../../src/core/properties.ts";
import { Secret } from "../../src/core/secret.ts";
import type { VpnSession } from "../../src/core/session.ts";
import type { ClientConfig, PendingChallenge } from "../../src/store/store.ts";

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
  script?: (input: PostAuthInput, context?: PostAuthContext) => Partial<PostAuthVerdict>;
  methods?: Method[];
  sessions?: Record<string, VpnSession>;
  usualSessionSeconds?: number;
};

const yes = (input: PostAuthInput): PostAuthVerdict => ({
  outcome: "allow",
  user: input.authret.user,
  code: null,
  reason: input.authret.reason,
  clientReason: null,
  properties: input.authret.proplist,
  save: {},
  question: null,
  states: {},
  by: null,
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
  const pending = new Map<string, PendingChallenge>();
  const challenges = {
    put: async (challenge: PendingChallenge) => void pending.set(challenge.id, JSON.parse(JSON.stringify(challenge))),
    async take(id: string, now: string) {
      const found = pending.get(id);
      pending.delete(id);
      return found && found.expiresAt > now ? found : undefined;
    },
  };
  const postAuth = {
    async terms() {
      return { loaded: options.script !== undefined, authNull: false, groupSelect: false, ...options.terms };
    },
    async decide(input: PostAuthInput, context?: PostAuthContext) {
      inputs.push(input);
      return { ...yes(input), ...options.script?.(input, context) };
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
        certificates: (profileId) => (profileId === "attached" ? "any" : "ours"),
        clientConfigs: {
          bySerial: async (serial) => (options.devices ?? [device]).find((one) => one.serial === serial),
        },
      }),
      resumeChallenge({ challenges }),
      resumeSession({ sessions: { get: async (id) => options.sessions?.[id] } }),
      checkMethod({
        methods: [local, ...(options.methods ?? [])],
        defaultMethod: async () => options.defaultMethod,
        accounts,
        postAuth,
      }),
      checkAccount({ accounts }),
      runPostAuth({ postAuth, accounts }),
      placeInGroup({ accounts }),
    ],
    challenges,
    usualSessionSeconds: async () => options.usualSessionSeconds ?? 0,
    record: (attempt) => attempts.push(attempt),
    onFault: (_attempt, _step, error) => faults.push(error),
  });
  return { decide, attempts, faults, inputs, pending };
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

describe("a challenge", () => {
  const asks: Options["script"] = (_input, context) =>
    context?.answer
      ? { reason: `answered ${context.answer.response.reveal()} to ${JSON.stringify(context.answer.resume)}` }
      : { outcome: "challenge", question: { text: "PIN?", echo: false, resume: { round: 1 } } };
  const answer = (decision: Decision, text: string) => {
    if (decision.outcome !== "challenge") throw new Error(`not asked: ${JSON.stringify(decision)}`);
    return new Secret(`CRV1::${decision.stateId}::${text}`);
  };

  it("of a script is put, and the answer reaches it with its state", async () => {
    const { decide, attempts } = pipeline({ script: asks });
    const asked = await decide(request());
    expect(asked).toMatchObject({ outcome: "challenge", text: "PIN?", echo: false, userId: "alice" });
    const allowed = await decide(request({ password: answer(asked, "4:2") }));
    expect(allowed).toMatchObject({ outcome: "allow", authMethod: "local", reason: 'answered 4:2 to {"round":1}' });
    expect(attempts.map(({ outcome }) => outcome)).toEqual(["challenge", "allow"]);
    expect(JSON.stringify(attempts)).not.toContain("right");
  });

  it("can be followed by another", async () => {
    const script: Options["script"] = (_input, context) => {
      const round = Number(context?.answer?.resume ?? 0);
      return round < 2 ? { outcome: "challenge", question: { text: `${round}?`, echo: true, resume: round + 1 } } : {};
    };
    const { decide } = pipeline({ script });
    const first = await decide(request());
    const second = await decide(request({ password: answer(first, "a") }));
    expect(second).toMatchObject({ text: "1?" });
    expect(await decide(request({ password: answer(second, "b") }))).toMatchObject({ outcome: "allow" });
  });

  it("of a method is put, and the method judges the answer", async () => {
    const radius: Method = {
      name: "radius",
      check: async () => ({ outcome: "challenged", text: "Token?", echo: true, state: { state: "x" } }),
      resume: async (state, response) =>
        response.reveal() === "7" && state.state === "x"
          ? {
              outcome: "accepted",
              userId: "alice",
              reason: "radius auth succeeded",
              info: { radius_reply: { 25: ["one", "0x00"] } },
            }
          : { outcome: "wrong", reason: "rejected" },
    };
    const options: Options = { methods: [radius], defaultMethod: "radius" };
    const { decide } = pipeline(options);
    const asked = await decide(request());
    expect(await decide(request({ password: answer(asked, "8") }))).toMatchObject({ code: "wrong-credentials" });
    const again = await decide(request());
    expect(await decide(request({ password: answer(again, "7") }))).toMatchObject({
      authMethod: "radius",
      // Accounting gives them back.
      radiusClasses: ["one", "0x00"],
    });
  });

  it.each<[string, Partial<AuthRequest>]>([
    ["another user", { username: "bob" }],
    ["another profile", { profileId: "lab", certificate: { commonName: "cn-3", serial: "c3" } }],
    ["another device", { certificate: { commonName: "cn-2", serial: "b2" } }],
  ])("is not answered by %s", async (_who, more) => {
    const devices = [
      { ...device, userId: null },
      { ...device, id: "device-2", userId: null, serial: "b2" },
      { ...device, id: "device-3", userId: null, serial: "c3", profileId: "lab" },
    ];
    const { decide } = pipeline({ script: asks, devices, users: { alice: { password: "right" }, bob: {} } });
    const asked = await decide(request());
    expect(await decide(request({ password: answer(asked, "42"), ...more }))).toMatchObject({
      code: "challenge-stale",
    });
  });

  it("is answered once", async () => {
    const { decide } = pipeline({ script: asks });
    const asked = await decide(request());
    await decide(request({ password: answer(asked, "42") }));
    expect(await decide(request({ password: answer(asked, "42") }))).toMatchObject({ code: "challenge-stale" });
  });

  it("expires", async () => {
    const { decide, pending } = pipeline({ script: asks });
    const asked = await decide(request());
    for (const challenge of pending.values()) challenge.expiresAt = new Date(Date.now() - 1).toISOString();
    expect(await decide(request({ password: answer(asked, "42") }))).toMatchObject({ code: "challenge-stale" });
  });

  it("cannot be put when a key is renewed", async () => {
    const { decide } = pipeline({ script: asks });
    expect(await decide(request({ kind: "reauth" }))).toMatchObject({ code: "challenge-unsupported" });
  });

  it("does not let somebody in whose account was disabled while it waited", async () => {
    const users = { alice: { password: "right", disabled: false } };
    const { decide } = pipeline({ script: asks, users });
    const asked = await decide(request());
    users.alice.disabled = true;
    expect(await decide(request({ password: answer(asked, "42") }))).toMatchObject({ code: "account-disabled" });
  });
});

describe("a sign-in by browser", () => {
  const saml: Method = {
    name: "saml",
    check: async ({ username }) => ({
      outcome: "challenged",
      text: "Please sign in",
      echo: true,
      state: { username },
      web: { id: "unguessable", url: "https://vpn.example.org/saml/login/unguessable" },
    }),
    resume: async ({ username }, response) =>
      response.equals("word")
        ? { outcome: "accepted", userId: String(username), reason: "yes", info: { saml_attr: { groups: ["staff"] } } }
        : { outcome: "wrong", reason: "no" },
  };
  const options = { methods: [saml], defaultMethod: "saml" };
  const canOpen = { clientInfo: { IV_SSO: "webauth,crtext" } };

  it("is a question with the page's address, and its name is the method's own", async () => {
    const { decide } = pipeline(options);
    const asked = await decide(request(canOpen));
    expect(asked).toMatchObject({
      outcome: "challenge",
      stateId: "unguessable",
      url: "https://vpn.example.org/saml/login/unguessable",
    });
    const answered = { ...canOpen, password: new Secret("CRV1::unguessable::word") };
    expect(await decide(request(answered))).toMatchObject({ outcome: "allow", userId: "alice", authMethod: "saml" });
    await decide(request(canOpen));
    const guessed = { ...canOpen, password: new Secret("CRV1::unguessable::guess") };
    expect(await decide(request(guessed))).toMatchObject({ outcome: "deny", code: "wrong-credentials" });
  });

  it("needs no password, and no name where the device belongs to somebody", async () => {
    const nothing = { ...canOpen, username: undefined, password: undefined };
    expect(await pipeline(options).decide(request(nothing))).toMatchObject({ outcome: "challenge", userId: "alice" });
    const anybodys = { ...options, devices: [{ ...device, userId: null, kind: "server-locked" as const }] };
    expect(await codeOf(anybodys, nothing)).toBe("credentials-missing");
    expect(await codeOf({}, nothing)).toBe("credentials-missing");
  });

  it.each<[string, Partial<AuthRequest>]>([
    ["a client that says nothing of browsers", {}],
    ["a client that takes other questions", { clientInfo: { IV_SSO: "crtext" } }],
    ["the command line", { kind: "authcli", profileId: null, protocol: null, certificate: undefined }],
  ])("is refused to %s", async (_who, more) => {
    expect(await codeOf(options, more)).toBe("challenge-unsupported");
  });
});

describe("a session", () => {
  async function begun(
    properties: Properties = {},
    usualSessionSeconds = 0,
  ): Promise<{ session: VpnSession; sessions: Record<string, VpnSession> }> {
    const users = { alice: { password: "right", properties } };
    const { decide } = pipeline({ users, usualSessionSeconds, script: () => ({ states: { mfa: "done" } }) });
    const decision = await decide(request({ session: { id: "daemon-1", state: "initial" } }));
    if (decision.outcome !== "allow" || decision.session === null) throw new Error("no session was begun");
    return { session: decision.session, sessions: { [decision.session.id]: decision.session } };
  }
  const token = { password: new Secret("SESS_ID_AT_x"), session: { id: "daemon-1", state: "authenticated" as const } };

  it("goes on with its token, without the password, and scripts are called for it with what they kept", async () => {
    const { sessions } = await begun();
    const seen: unknown[] = [];
    const script: Options["script"] = (input, context) => {
      seen.push(input.info.auth_method, context?.states);
      return {};
    };
    const decision = await pipeline({ sessions, script }).decide(request(token));
    expect(decision).toMatchObject({ outcome: "allow", authMethod: "session", userId: "alice" });
    expect(seen).toEqual(["session", { mfa: "done" }]);
  });

  it("is stored under a digest: what the store holds admits nobody", async () => {
    const { session } = await begun();
    expect(JSON.stringify(session)).not.toContain("daemon-1");
  });

  it.each<[string, Partial<AuthRequest>, Partial<VpnSession>]>([
    ["expired by the daemon's word", { session: { id: "daemon-1", state: "expired" } }, {}],
    ["forged", { session: { id: "daemon-1", state: "invalid" } }, {}],
    ["not known", { session: { id: "daemon-2", state: "authenticated" } }, {}],
    ["another device's", {}, { connectionId: "cn-2" }],
    ["another profile's", {}, { profileId: "lab" }],
    ["another user's", {}, { userId: "bob", signedInAs: "bob" }],
    ["past prop_expire", {}, { expiresAt: "2026-01-01T00:00:00.000Z" }],
  ])("does not go on when its token is %s", async (_what, more, stored) => {
    const { session } = await begun();
    const sessions = { [session.id]: { ...session, ...stored } };
    expect(await codeOf({ sessions }, { ...token, ...more })).toBe("session-expired");
  });

  it("lasts as long as prop_expire says, from when it began", async () => {
    const { session, sessions } = await begun({ prop_expire: "3600" });
    expect(Date.parse(session.expiresAt ?? "") - Date.parse(session.createdAt)).toBe(3_600_000);
    const decision = await pipeline({ sessions }).decide(request(token));
    expect(decision).toMatchObject({ session: { createdAt: session.createdAt, expiresAt: session.expiresAt } });
  });

  it.each<[Properties, number, number | null]>([
    [{}, 7200, 7_200_000],
    [{}, 0, null],
    [{ prop_expire: "60" }, 7200, 60_000],
    [{ prop_expire: "0" }, 7200, null],
  ])("where prop_expire is %j and the setting %d lasts %j ms", async (properties, usual, expected) => {
    const { session } = await begun(properties, usual);
    const { createdAt, expiresAt } = session;
    expect(expiresAt && Date.parse(expiresAt) - Date.parse(createdAt)).toBe(expected);
  });

  it.each([
    ["on its tunnel", { session: token.session }],
    ["on a new tunnel", { session: { id: "daemon-9", state: "initial" as const } }],
  ])("lasts no longer when a script asks for more and is answered %s", async (_where, onTunnel) => {
    const { session, sessions } = await begun({ prop_expire: "3600" });
    const script: Options["script"] = (_input, context) =>
      context?.answer
        ? { states: { ...context.states } }
        : { outcome: "challenge", question: { text: "?", echo: true, resume: {} }, states: { mfa: "asked again" } };
    const { decide } = pipeline({ sessions, script, users: { alice: { properties: { prop_expire: "3600" } } } });
    const asked = await decide(request(token));
    const stateId = asked.outcome === "challenge" ? asked.stateId : "";
    const decision = await decide(request({ ...onTunnel, password: new Secret(`CRV1::${stateId}::x`) }));
    expect(decision).toMatchObject({
      authMethod: "session",
      resumes: session.id,
      session: { createdAt: session.createdAt, expiresAt: session.expiresAt, states: { mfa: "asked again" } },
    });
  });

  it("is not what an auto-login device goes on with: its certificate stands for it", async () => {
    const devices = [{ ...device, kind: "auto-login" as const }];
    const users = { alice: { properties: { prop_autologin: "true" } } };
    const decision = await pipeline({ devices, users }).decide(request(token));
    expect(decision).toMatchObject({ outcome: "allow", authMethod: "autologin" });
  });

  it("ends for an account that was disabled", async () => {
    const { sessions } = await begun();
    const users = { alice: { password: "right", disabled: true } };
    expect(await codeOf({ sessions, users }, token)).toBe("account-disabled");
  });
});
