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
import type { PostAuthContext, PostAuthInput, PostAuthTerms, PostAuthVerdict } from "../../src/core/post-auth.ts";
import type { Properties } from "../../src/core/properties.ts";
import { Secret } from "../../src/core/secret.ts";
import type { VpnSession } from "../../src/core/session.ts";
import type { ClientConfig, PendingChallenge } from "../../src/store/store.ts";

export const device: ClientConfig = {
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

export type Options = {
  devices?: ClientConfig[];
  users?: Record<string, { password?: string; disabled?: boolean; properties?: Properties }>;
  groups?: Record<string, Properties>;
  defaultMethod?: string;
  terms?: Partial<PostAuthTerms>;
  script?: (input: PostAuthInput, context?: PostAuthContext) => Partial<PostAuthVerdict>;
  methods?: Method[];
  sessions?: Record<string, VpnSession>;
  usualSessionSeconds?: number;
  mostQuestions?: number;
};

/** What a script answers that lets everybody pass. */
export const yes = (input: PostAuthInput): PostAuthVerdict => ({
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

export function pipeline(options: Options) {
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
    mostQuestions: () => options.mostQuestions ?? 10,
    usualSessionSeconds: async () => options.usualSessionSeconds ?? 0,
    record: (attempt) => attempts.push(attempt),
    onFault: (_attempt, _step, error) => faults.push(error),
  });
  return { decide, attempts, faults, inputs, pending };
}

export const request = (more: Partial<AuthRequest> = {}): AuthRequest => ({
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

export async function codeOf(options: Options, more: Partial<AuthRequest> = {}) {
  const decision = await pipeline(options).decide(request(more));
  return decision.outcome === "deny" ? decision.code : "allow";
}
