import { describe, expect, it } from "vitest";
import type { Method } from "../../src/auth/methods/method.ts";
import type { AuthRequest } from "../../src/auth/step.ts";
import type { Decision } from "../../src/core/decision.ts";
import type { Properties } from "../../src/core/properties.ts";
import { Secret } from "../../src/core/secret.ts";
import type { VpnSession } from "../../src/core/session.ts";
import { codeOf, device, type Options, pipeline, request } from "./pipeline-under-test.ts";

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

  it("is put so many times in one login, whoever asks, and not once more", async () => {
    const script: Options["script"] = () => ({ outcome: "challenge", question: { text: "?", echo: true, resume: 0 } });
    const radius: Method = {
      name: "radius",
      check: async () => ({ outcome: "challenged", text: "Token?", echo: true, state: {} }),
      resume: async () => ({ outcome: "accepted", userId: "alice", reason: "", info: {} }),
    };
    const { decide, attempts, pending } = pipeline({
      script,
      methods: [radius],
      defaultMethod: "radius",
      mostQuestions: 3,
    });
    for (const _login of ["first", "second"]) {
      let decision = await decide(request());
      for (const _round of [2, 3]) decision = await decide(request({ password: answer(decision, "a") }));
      const last = await decide(request({ password: answer(decision, "b") }));
      const reason = "post-auth asked question 4 of one login; scripts.mostQuestions is 3";
      expect(last).toMatchObject({ outcome: "deny", code: "too-many-questions", reason });
      expect(attempts.at(-1)?.trace.at(-1)).toMatchObject({ step: "post-auth", detail: "asked: ?" });
      expect(pending.size).toBe(0);
    }
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
