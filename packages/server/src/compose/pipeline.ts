import { reportWithoutEffect } from "../accounts/without-effect.ts";
import type { LockOut } from "../auth/lock-out.ts";
import type { Method } from "../auth/methods/method.ts";
import { createPipeline, type Pipeline } from "../auth/pipeline.ts";
import { sessionLifetime } from "../auth/session-lifetime.ts";
import { checkAccount } from "../auth/steps/check-account.ts";
import { checkCertificate } from "../auth/steps/check-certificate.ts";
import { checkDevice } from "../auth/steps/check-device.ts";
import { checkLockOut, checkLockOutSince } from "../auth/steps/check-lock-out.ts";
import { checkMethod } from "../auth/steps/check-method.ts";
import { checkTotp } from "../auth/steps/check-totp.ts";
import { decodeCredentials } from "../auth/steps/decode-credentials.ts";
import { limitDevices } from "../auth/steps/limit-devices.ts";
import { placeInGroup } from "../auth/steps/place-in-group.ts";
import { resumeChallenge } from "../auth/steps/resume-challenge.ts";
import { resumeSession } from "../auth/steps/resume-session.ts";
import { runPostAuth } from "../auth/steps/run-post-auth.ts";
import type { AccountLookup } from "../core/account.ts";
import type { AttemptRecord } from "../core/attempt.ts";
import type { Log } from "../core/log.ts";
import type { PostAuth } from "../core/post-auth.ts";
import type { Store } from "../store/store.ts";

/** The ordered table of steps that every attempt goes through. */
export function composePipeline(options: {
  store: Store;
  accounts: AccountLookup;
  methods: readonly Method[];
  postAuth: PostAuth;
  lockOut: LockOut;
  /** Whether a profile's server lets in certificates that were not issued here. */
  certificates: (profileId: string | null) => "any" | "ours";
  /** How many questions one login may be asked. */
  mostQuestions: () => number;
  /** Hears of each attempt. */
  counted: (attempt: AttemptRecord) => void;
  /** How many WireGuard devices a user may have in a profile; null: no limit. */
  mostDevices: (profileId: string) => number | null;
  log: Log;
}): Pipeline {
  const { store, accounts, methods, postAuth, lockOut, log } = options;
  const withoutEffect = reportWithoutEffect((property, user, reason) =>
    log.warn({ property, user, reason }, "a property has no effect here; this is said once"),
  );
  return createPipeline({
    steps: [
      decodeCredentials,
      checkCertificate({ clientConfigs: store.clientConfigs, certificates: options.certificates }),
      checkLockOut({ lockOut }),
      checkDevice({ clientConfigs: store.clientConfigs }),
      resumeChallenge({ challenges: store.challenges }),
      resumeSession({ sessions: store.sessions }),
      checkMethod({
        methods,
        defaultMethod: () => store.settings.get("auth.module.type"),
        accounts,
        postAuth,
      }),
      checkLockOutSince({ lockOut }),
      checkAccount({ accounts }),
      checkTotp({
        accounts: store.accounts,
        usually: () => store.settings.get("vpn.server.google_auth.enable"),
      }),
      runPostAuth({ postAuth, accounts }),
      placeInGroup({ accounts }),
      limitDevices({ devices: store.devices, most: options.mostDevices }),
    ],
    challenges: store.challenges,
    mostQuestions: options.mostQuestions,
    usualSessionSeconds: sessionLifetime(store.settings),
    record: (attempt, given) => {
      store.attempts.record(attempt);
      lockOut.observe(attempt, given);
      withoutEffect(attempt);
      options.counted(attempt);
    },
    onFault: (attempt, step, error) => log.error({ attempt, step, error }, "a step of an attempt failed"),
  });
}
