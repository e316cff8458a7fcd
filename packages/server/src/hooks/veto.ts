import { setTimeout as wait } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import type { Connection } from "../core/connection.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { Telling } from "../core/hook.ts";
import { followed, type Log } from "../core/log.ts";
import type { Store } from "../store/store.ts";
import { connectionEvent, type NodeFacts } from "./event.ts";
import type { HookSlots } from "./slots.ts";
import { type BoundHook, tellSafely } from "./tell.ts";

export type VetoAnswer =
  /** `recorded`: when their answers are written down; it rejects where the store fails, and then nobody may be let in. */
  | { allowed: true; recorded: Promise<unknown> }
  | {
      allowed: false;
      code: Extract<
        ErrorCode,
        "hook-refused" | "hook-failed" | "hook-timed-out" | "too-busy" | "connection-ended" | "server-restarting"
      >;
      hook: string;
      /** For the log and the ledger. */
      reason: string;
      /** What the hook says to the person, where it may; null: the code's own words. */
      clientReason: string | null;
    };

type Refusal = Extract<VetoAnswer, { allowed: false }>;

export interface Vetoes {
  /**
   * Puts a reserved connection to each veto hook, in the configured order and once each; the first no ends it. That a
   * hook was told stands in the store before it starts; that it said yes may be written down later, with what follows
   * (`recorded`), since each commit waits for the disk. Rejects only where the store fails.
   */
  ask(connection: Connection): Promise<VetoAnswer>;
}

type Options = {
  hooks: () => readonly BoundHook[];
  store: Pick<Store, "ledger" | "deliveries">;
  slots: HookSlots;
  node: NodeFacts;
  /** The server stops: questions under way are ended, and nobody is let in for want of an answer. */
  abort: AbortSignal;
  /** Has due deliveries sent at once. */
  wake: () => void;
  clock: () => number;
  log: Log;
};

/** Beyond the deadline: the time to end the hook and to write down how it came out. */
const leaseMarginMs = 30_000;
const longestReasonLength = 200;

export function createVetoes(options: Options): Vetoes {
  return {
    async ask(connection) {
      const asked = options.hooks().filter(({ terms }) => terms.veto && terms.events.includes("connect"));
      let recorded: Promise<unknown> = Promise.resolve();
      const record = (written: Promise<void>) => {
        recorded = Promise.all([recorded, written]);
        // Whoever waits for it hears that it failed; before that it may fail unheard.
        recorded.catch(() => {});
      };
      for (const hook of asked) {
        const refusal = await askOne(hook, connection, { ...options, record });
        if (refusal === null) continue;
        await recorded;
        return refusal;
      }
      return { allowed: true, recorded };
    },
  };
}

/** The hook's deadline holds for all of it: waiting for the former holder's end, for a turn, and the hook itself. */
async function askOne(
  hook: BoundHook,
  connection: Connection,
  options: Options & { record: (written: Promise<void>) => void },
): Promise<Refusal | null> {
  const { terms } = hook;
  const end = performance.now() + terms.deadlineMs;
  const slots = options.slots.of(hook);
  // Before the turn: the hook must have one to hear of that end.
  await formerHolderGone(hook, connection, options);
  if (!(await slots.take(end - performance.now()))) {
    return weigh(hook, connection, options, {
      code: "too-busy",
      reason: `hook ${terms.name} was not asked: too many connections are being put to hooks`,
    });
  }
  try {
    const delivery = await options.store.deliveries.tell({
      sessionId: connection.id,
      hook: terms.name,
      at: iso(options.clock()),
      leaseUntil: iso(options.clock() + terms.deadlineMs + leaseMarginMs),
    });
    if (delivery === undefined) return endedMeanwhile(terms.name);
    const event = connectionEvent({
      connection,
      event: "connect",
      eventId: connection.connectEventId,
      attempt: delivery.attempts,
      node: options.node,
    });
    const remainingMs = Math.max(1, Math.round(end - performance.now()));
    const telling = await tellSafely(hook, event, { deadlineMs: remainingMs, abort: options.abort });
    const { answer, durationMs } = telling;
    const subject = { ...followed(connection), event: connection.connectEventId, delivery: delivery.id };
    options.log.info({ ...subject, hook: terms.name, tells: "connect", answer, durationMs }, "asked a hook");
    const written = options.store.deliveries.finish(delivery.id, {
      at: iso(options.clock()),
      // A no is an answer like a yes; only a hook that gave none has failed.
      state: telling.answer === "failed" ? "failed" : "done",
      durationMs: telling.durationMs,
      output: telling.output,
      error: telling.error,
    });
    options.record(written);
    return judge(hook, connection, telling, options);
  } finally {
    slots.giveBack();
  }
}

function judge(hook: BoundHook, connection: Connection, telling: Telling, options: Options): Refusal | null {
  const { name, showOutput } = hook.terms;
  if (telling.answer === "yes") return null;
  if (telling.answer === "no") {
    const said = lastLine(telling.clientReason === undefined ? telling.output : (telling.clientReason ?? ""));
    const because = said ?? telling.error;
    const reason = `hook ${name} refused${because ? `: ${because}` : ""}`;
    return { allowed: false, code: "hook-refused", hook: name, reason, clientReason: showOutput ? said : null };
  }
  const code = telling.failure === "timed-out" ? "hook-timed-out" : "hook-failed";
  const reason = `hook ${name} gave no answer: ${telling.error ?? telling.failure ?? "unknown"}`;
  return weigh(hook, connection, options, { code, reason });
}

/** No answer is a no, unless an administrator wrote down for this hook that it is not. */
function weigh(
  { terms }: BoundHook,
  connection: Connection,
  { log, abort }: Options,
  failure: Pick<Refusal, "code" | "reason">,
): Refusal | null {
  const { reason } = failure;
  if (abort.aborted) {
    const stopping = { code: "server-restarting", reason: `${reason} (the server is stopping)` } as const;
    return { ...stopping, allowed: false, hook: terms.name, clientReason: null };
  }
  if (terms.onFailure === "deny") return { ...failure, allowed: false, hook: terms.name, clientReason: null };
  log.warn({ ...followed(connection), hook: terms.name, reason }, "let in without a hook's answer (onFailure: allow)");
  return null;
}

function endedMeanwhile(hook: string): Refusal {
  const reason = `the connection ended before hook ${hook} was asked`;
  return { allowed: false, code: "connection-ended", hook, reason, clientReason: null };
}

/**
 * Whoever held this address before: the hook hears of that end first, so that what it undoes by address (a firewall's
 * set) is not what it is about to do. Waits for at most half the deadline, then goes on and says so.
 */
async function formerHolderGone(hook: BoundHook, connection: Connection, options: Options): Promise<void> {
  if (!hook.terms.events.includes("disconnect")) return;
  const untilMs = performance.now() + hook.terms.deadlineMs / 2;
  const { id: sessionId, ipv4, ipv6 } = connection;
  const isUntold = () => options.store.deliveries.endUntold({ hook: hook.terms.name, sessionId, ipv4, ipv6 });
  for (let looks = 0; await isUntold(); looks += 1) {
    if (looks === 0) options.wake();
    if (performance.now() >= untilMs) {
      const fields = { ...followed(connection), hook: hook.terms.name, ipv4: connection.ipv4, ipv6: connection.ipv6 };
      options.log.warn(fields, "a hook has not yet been told that this address's former holder is gone");
      return;
    }
    await wait(Math.min(20 * 2 ** looks, longestLookWaitMs));
  }
}

const longestLookWaitMs = 200;
/** The last line with anything on it, fit to be shown: no colours, no control characters, and bounded. */
export function lastLine(output: string): string | null {
  const lines = stripVTControlCharacters(output)
    .split(/[\r\n]+/)
    .map((line) => line.replaceAll(/\p{Cc}+/gu, " ").trim());
  const last = lines.findLast((line) => line !== "");
  if (last === undefined) return null;
  const characters = [...last];
  return characters.length <= longestReasonLength ? last : `${characters.slice(0, longestReasonLength - 1).join("")}…`;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
