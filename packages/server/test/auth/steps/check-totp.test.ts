import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGuardrails, generate } from "otplib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accountLookup } from "../../../src/accounts/lookup.ts";
import type { Method } from "../../../src/auth/methods/method.ts";
import { createPipeline } from "../../../src/auth/pipeline.ts";
import type { AuthRequest } from "../../../src/auth/step.ts";
import { checkAccount } from "../../../src/auth/steps/check-account.ts";
import { checkMethod } from "../../../src/auth/steps/check-method.ts";
import { checkTotp } from "../../../src/auth/steps/check-totp.ts";
import { decodeCredentials } from "../../../src/auth/steps/decode-credentials.ts";
import { resumeChallenge } from "../../../src/auth/steps/resume-challenge.ts";
import { runPostAuth } from "../../../src/auth/steps/run-post-auth.ts";
import type { AttemptRecord } from "../../../src/core/attempt.ts";
import type { AuthMethod } from "../../../src/core/credentials.ts";
import type { Decision } from "../../../src/core/decision.ts";
import type { PostAuthContext, PostAuthInput, PostAuthVerdict } from "../../../src/core/post-auth.ts";
import type { Properties } from "../../../src/core/properties.ts";
import { Secret } from "../../../src/core/secret.ts";
import type { Store } from "../../../src/store/store.ts";
import { openStoreHere } from "../../store/open-here.ts";
import { yes } from "../pipeline-under-test.ts";

const secret = "GEZDGNBVGY3TQOJQ";
/** Sixteen characters, as Access Server makes them, are fewer than the library likes. */
const guardrails = createGuardrails({ MIN_SECRET_BYTES: 10 });
let directory: string;
let store: Store;
let users = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "totp-"));
  store = await openStoreHere(join(directory, "sallyport.db"));
});

afterAll(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

type Options = {
  properties?: Properties;
  usually?: string;
  method?: Partial<Method>;
  signedInBy?: AuthMethod;
  script?: (input: PostAuthInput, context?: PostAuthContext) => Partial<PostAuthVerdict>;
};

/** A user of their own, and the pipeline around the step, over a real store. */
async function someone({ properties, usually, method, signedInBy, script }: Options = {}) {
  users += 1;
  const userId = `user${users}`;
  const enrolled = { prop_google_auth: "true", pvt_google_auth_secret: secret };
  await store.accounts.setProperties({ kind: "user", name: userId }, properties ?? enrolled);
  const accounts = accountLookup(store.accounts);
  const attempts: AttemptRecord[] = [];
  const postAuth = {
    terms: async () => ({ loaded: script !== undefined, authNull: false, groupSelect: false }),
    decide: async (input: PostAuthInput, context?: PostAuthContext): Promise<PostAuthVerdict> => ({
      ...yes(input),
      ...script?.(input, context),
    }),
  };
  const local: Method = {
    name: "local",
    check: async ({ username, password }) =>
      password.equals("right")
        ? { outcome: "accepted", userId: username, reason: "yes", info: {} }
        : { outcome: "wrong", reason: "no" },
    ...method,
  };
  const { decide } = createPipeline({
    steps: [
      decodeCredentials,
      resumeChallenge({ challenges: store.challenges }),
      checkMethod({ methods: [local], defaultMethod: async () => "local", accounts, postAuth }),
      {
        name: "signed in otherwise",
        run: async () => ({ outcome: "passed", detail: "", found: signedInBy ? { method: signedInBy } : {} }),
      },
      checkAccount({ accounts }),
      checkTotp({ accounts: store.accounts, usually: async () => usually }),
      runPostAuth({ postAuth, accounts }),
    ],
    challenges: store.challenges,
    mostQuestions: () => 10,
    usualSessionSeconds: async () => 0,
    record: (attempt) => attempts.push(attempt),
    onFault: (_attempt, step, error) => {
      throw new Error(`${step} failed`, { cause: error });
    },
  });
  const signIn = async (password: string): Promise<Decision> =>
    await decide({ ...request, username: userId, password: new Secret(password) });
  return {
    userId,
    signIn,
    /** The password with the code beside it, as clients answer a static challenge. */
    signInWith: async (code: string) => await signIn(`SCRV1:${base64("right")}:${base64(code)}`),
    /** The password first, then the answer to what is asked. */
    signInAnswering: async (...codes: string[]) => {
      let decision = await signIn("right");
      for (const code of codes) {
        if (decision.outcome !== "challenge") throw new Error(`nothing was asked: ${JSON.stringify(decision)}`);
        decision = await signIn(`CRV1::${decision.stateId}::${code}`);
      }
      return decision;
    },
    detail: () => attempts.at(-1)?.trace.find(({ step }) => step === "check totp")?.detail ?? "",
  };
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** The code of now, or of `steps` half minutes later. */
const codeAfter = async (steps: number) => await generate({ secret, epoch: nowPlus(steps), guardrails });

const nowPlus = (steps: number) => Math.floor(Date.now() / 1000) + steps * 30;

const request: AuthRequest = {
  kind: "connect",
  profileId: "office",
  protocol: "openvpn",
  username: "",
  password: undefined,
  certificate: { commonName: "cn-1", serial: "a1" },
  clientAddress: "192.0.2.7",
  clientPort: 50000,
  hardwareAddress: undefined,
  clientInfo: {},
  certificateFields: {},
};

describe("the authenticator's code", () => {
  it("is asked for when the password was right, and lets in", async () => {
    const { signIn, signInAnswering } = await someone();
    expect(await signIn("wrong")).toMatchObject({ outcome: "deny", code: "wrong-credentials" });
    expect(await signIn("right")).toMatchObject({
      outcome: "challenge",
      text: "Enter Authenticator Code",
      echo: true,
      responseRequired: true,
    });
    expect(await signInAnswering(await codeAfter(0))).toMatchObject({ outcome: "allow", authMethod: "local" });
  });

  it("is not asked for when it came beside the password", async () => {
    const { signInWith } = await someone();
    expect(await signInWith(await codeAfter(0))).toMatchObject({ outcome: "allow" });
  });

  it.each<[string, Options]>([
    ["prop_google_auth is not set", { properties: { pvt_google_auth_secret: secret } }],
    ["it is false, whatever is usual", { properties: { prop_google_auth: "false" }, usually: "true" }],
    ["a session goes on", { signedInBy: "session" }],
    ["a certificate alone lets in", { signedInBy: "autologin" }],
  ])("is not asked for where %s", async (_what, options) => {
    const { signIn } = await someone(options);
    expect(await signIn("right")).toMatchObject({ outcome: "allow" });
  });

  it("is asked for where it is usual, or inherited from the group", async () => {
    const usual = await someone({ properties: { pvt_google_auth_secret: secret }, usually: "true" });
    expect(await usual.signIn("right")).toMatchObject({ outcome: "challenge" });
    await store.accounts.addGroup({ id: "careful", createdAt: new Date().toISOString() });
    await store.accounts.setProperties({ kind: "group", name: "careful" }, { prop_google_auth: "true" });
    const member = await someone({ properties: { pvt_google_auth_secret: secret, conn_group: "careful" } });
    expect(await member.signIn("right")).toMatchObject({ outcome: "challenge" });
  });

  it.each<[string, Properties]>([
    ["nobody enrolled one", {}],
    ["the secret was never handed out", { pvt_google_auth_secret: secret, pvt_google_auth_secret_locked: "false" }],
    ["the secret is broken", { pvt_google_auth_secret: "not base32!" }],
  ])("cannot be given where %s: denied, with what to do", async (_what, properties) => {
    const { signIn, signInWith, userId, detail } = await someone({
      properties: { ...properties, prop_google_auth: "true" },
    });
    expect(await signIn("right")).toMatchObject({ outcome: "deny", code: "totp-not-enrolled" });
    expect(detail()).toContain(`sallyport totp enrol ${userId}`);
    expect(await signInWith("123456")).toMatchObject({ outcome: "deny", code: "totp-not-enrolled" });
  });

  it.each(["", "12345", "letters"])("%j is wrong, as a code that is not the secret's", async (answer) => {
    const { signInWith, signInAnswering } = await someone();
    expect(await signInWith(answer)).toMatchObject({ outcome: "deny", code: "totp-wrong" });
    expect(await signInAnswering(answer)).toMatchObject({ outcome: "deny", code: "totp-wrong" });
  });

  it("of a wrong clock is refused, and the trace says how wrong the clock is", async () => {
    const { signInWith, detail } = await someone();
    expect(await signInWith(await codeAfter(-5))).toMatchObject({ outcome: "deny", code: "totp-wrong" });
    expect(detail()).toMatch(/about 1[58]0 s behind/);
  });
});

describe("a code that was used", () => {
  it("lets nobody in again, neither way, and says what it is", async () => {
    const { signInWith, signInAnswering, detail } = await someone();
    const code = await codeAfter(0);
    expect(await signInWith(code)).toMatchObject({ outcome: "allow" });
    expect(await signInWith(code)).toMatchObject({ outcome: "deny", code: "totp-used" });
    expect(detail()).toContain("used already");
    expect(await signInAnswering(code)).toMatchObject({ outcome: "deny", code: "totp-used" });
  });

  it("makes older ones void", async () => {
    const { signInWith } = await someone();
    const [older, newer] = [await codeAfter(0), await codeAfter(1)];
    expect(await signInWith(newer)).toMatchObject({ outcome: "allow" });
    expect(await signInWith(older)).toMatchObject({ outcome: "deny", code: "totp-used" });
  });

  it("lets one of many in who come with it at the same moment", async () => {
    const { signInWith } = await someone();
    const code = await codeAfter(0);
    const decisions = await Promise.all(Array.from({ length: 20 }, () => signInWith(code)));
    expect(decisions.filter(({ outcome }) => outcome === "allow")).toHaveLength(1);
  });

  it("is of no other user", async () => {
    const code = await codeAfter(0);
    const [one, other] = [await someone(), await someone()];
    expect(await one.signInWith(code)).toMatchObject({ outcome: "allow" });
    expect(await other.signInWith(code)).toMatchObject({ outcome: "allow" });
  });

  it("stays used when a script saves every property it was given", async () => {
    const script: Options["script"] = ({ authret }) => ({ save: authret.proplist });
    const { signInWith, userId } = await someone({ script });
    expect(await signInWith(await codeAfter(0))).toMatchObject({ outcome: "allow" });
    const second = await signInWith(await codeAfter(1));
    if (second.outcome !== "allow") throw new Error(second.outcome);
    expect(second.save).toMatchObject({ prop_google_auth: "true" });
    expect(second.save).not.toHaveProperty("pvt_totp_last_step");
    expect(await store.accounts.properties({ kind: "user", name: userId })).toHaveProperty("pvt_totp_last_step");
  });
});

describe("between other questions", () => {
  const asking: Options["script"] = (_input, context) =>
    context?.answer ? {} : { outcome: "challenge", question: { text: "Pet?", echo: true, resume: null } as never };

  it("a script's question comes after the code, and its answer is not taken for one", async () => {
    const { signInAnswering } = await someone({ script: asking });
    expect(await signInAnswering(await codeAfter(0))).toMatchObject({ outcome: "challenge", text: "Pet?" });
    const later = await someone({ script: asking });
    expect(await later.signInAnswering(await codeAfter(0), "Rex")).toMatchObject({ outcome: "allow" });
  });

  it("the answer to a method's question is not taken for the code", async () => {
    const method: Partial<Method> = {
      check: async () => ({ outcome: "challenged", text: "Token?", echo: false, state: {} }),
      resume: async () => ({ outcome: "accepted", userId: `user${users}`, reason: "yes", info: {} }),
    };
    const { signInAnswering } = await someone({ method });
    expect(await signInAnswering("4711")).toMatchObject({ outcome: "challenge", text: "Enter Authenticator Code" });
    const again = await someone({ method });
    expect(await again.signInAnswering("4711", await codeAfter(0))).toMatchObject({ outcome: "allow" });
  });
});
