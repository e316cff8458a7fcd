import type { Log } from "../core/log.ts";
import type { PostAuth, PostAuthContext, PostAuthInput, PostAuthVerdict } from "../core/post-auth.ts";
import { secretValues } from "../core/properties.ts";
import { Secret } from "../core/secret.ts";
import type { ScriptStore, SettingStore } from "../store/store.ts";
import { type ChainInput, type ChainOutcome, type ChainQuestion, deniedWithoutReason, runChain } from "./chain.ts";
import { type ActiveScript, createGeneration, type Generation } from "./generation.ts";
import type { Loaders } from "./loaders.ts";
import { maskSecretsOf } from "./mask-secrets.ts";
import { settingsOf } from "./script-settings.ts";

export type PostAuthGate = PostAuth & {
  /** Makes the store's active versions the live ones. Calls under way finish with the versions they began with. */
  reload(): Promise<void>;
  /** The live scripts in order, with what loading them told. */
  scripts(): Promise<readonly ActiveScript[]>;
  /** Waits for calls under way, up to their deadlines, and ends the processes. */
  close(): Promise<void>;
};

/** A script that could not be loaded may only have lacked something for a moment; it denies everybody meanwhile. */
const retryAfterMs = 10_000;

/** The active post-auth scripts, loaded once and kept warm. Nothing is loaded before the first question or `reload`. */
export function createPostAuth(options: {
  scripts: Pick<ScriptStore, "active">;
  /** Where scripts' settings are kept; without, all have their defaults. */
  settings?: Pick<SettingStore, "get">;
  loaders: Loaders;
  /** For each script of the chain. */
  deadlineMs: () => number;
  log: Log;
}): PostAuthGate {
  const { scripts, loaders, deadlineMs, log } = options;
  const settings = options.settings === undefined ? async () => undefined : settingsOf(options.settings);
  let current: Promise<Generation> | undefined;
  let reloading: Promise<unknown> = Promise.resolve();
  let nextRetryAt = 0;

  async function loadNext(before: Generation | undefined): Promise<Generation> {
    const active = await scripts.active();
    const next = await createGeneration({ active, settings, before, loaders, log });
    nextRetryAt = performance.now() + retryAfterMs;
    return next;
  }

  /** One at a time, and the live generation stays where the store or a loader fails. */
  function reload(): Promise<void> {
    const done = reloading.then(async () => {
      const before = await current?.catch(() => undefined);
      const next = await loadNext(before);
      current = Promise.resolve(next);
      before?.retire(next);
    });
    reloading = done.catch(() => {});
    return done;
  }

  async function live(): Promise<Generation> {
    if (current === undefined) await reload();
    const generation = await (current as Promise<Generation>);
    if (generation.faults.length > 0 && performance.now() > nextRetryAt) {
      nextRetryAt = performance.now() + retryAfterMs;
      reload().catch((error: unknown) => log.error({ error }, "the post-auth scripts could not be loaded again"));
    }
    return generation;
  }

  async function decide(input: PostAuthInput, context: PostAuthContext = {}): Promise<PostAuthVerdict> {
    const started = performance.now();
    const verdict = (part: Partial<PostAuthVerdict>): PostAuthVerdict => ({
      outcome: "deny",
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
      ...part,
      durationMs: Math.round((performance.now() - started) * 100) / 100,
    });
    const generation = await live();
    const [fault] = generation.faults;
    if (fault !== undefined) return verdict({ code: "script-not-loaded", reason: fault });
    if (context.terms?.authNull && !generation.terms.authNull) {
      return verdict({ code: "too-busy", reason: "the script that was to decide alone was just replaced by others" });
    }
    if (generation.chain.length === 0) {
      if (input.info.auth_method !== "pas_only") return verdict({ outcome: "allow" });
      return verdict({ code: "script-missing", reason: "pas_only: a script must decide, and none is active" });
    }
    const outcome = await generation.use(() =>
      runChain({ scripts: generation.chain, input, deadlineMs: deadlineMs(), ...continuing(context) }),
    );
    const { password, static_response } = input.authcred;
    const held = secretValues(input.authret.proplist).map((value) => new Secret(value));
    const known = [password, static_response, context.answer?.response, ...held];
    return maskSecretsOf(known, verdict({ ...verdictOf(outcome, input), by: whoDecided(generation, outcome) }));
  }

  return {
    terms: async () => (await live()).terms,
    scripts: async () => (await live()).scripts,
    decide,
    reload,
    close: async () => {
      await reloading;
      const generation = await current?.catch(() => undefined);
      await generation?.close();
    },
  };
}

/** The chain's own question comes back as it was handed out. */
function continuing({ states, answer }: PostAuthContext): Pick<ChainInput, "states" | "answer"> {
  return {
    ...(states && { states }),
    ...(answer && { answer: { resume: answer.resume as ChainQuestion["resume"], response: answer.response.reveal() } }),
  };
}

function whoDecided({ scripts }: Generation, { by }: ChainOutcome): string {
  const deciding = scripts.filter(({ name }) => by === null || name === by);
  return deciding.map(({ name, version }) => `${name} (version ${version})`).join(", ");
}

function verdictOf(outcome: ChainOutcome, input: PostAuthInput): Partial<PostAuthVerdict> {
  const { by, ...rest } = outcome;
  if (outcome.outcome === "challenge") return { ...rest, reason: `the post-auth script ${by} asked a question` };
  const silent = outcome.outcome === "deny" && outcome.reason === input.authret.reason;
  // What the method said of the credentials is no reason for a denial.
  return { ...rest, reason: silent ? `${deniedWithoutReason} ${by}` : outcome.reason };
}
