import type { Sealing } from "../core/sealing.ts";
import type { ChallengeStore, SessionStore, Store } from "./store.ts";

/** The one key of what is sealed. */
const mark = "$sealed";

/**
 * A store that keeps sealed what scripts and methods hand over from one round, or one sign-in, to the next: there may be
 * a password in it. What was kept unsealed by an earlier version is still read.
 */
export function sealedStore(store: Store, options: { sealing: Sealing; onUnreadable: (what: string) => void }): Store {
  const { sealing, onUnreadable } = options;

  const seal = (value: object, place: string) => ({ [mark]: sealing.seal(JSON.stringify(value), place) });
  /** Undefined where it cannot be opened. */
  const open = <T extends object>(value: T, place: string): T | undefined => {
    const sealed = Object.hasOwn(value, mark) ? (value as Record<string, unknown>)[mark] : undefined;
    if (typeof sealed !== "string") return value;
    const text = sealing.open(sealed, place);
    if (text === undefined) onUnreadable(place.split(" ")[0] ?? "");
    return text === undefined ? undefined : JSON.parse(text);
  };

  const challenges: ChallengeStore = {
    put: (challenge) =>
      store.challenges.put({ ...challenge, carried: seal(challenge.carried, `challenge ${challenge.id}`) }),
    async take(id, now) {
      const found = await store.challenges.take(id, now);
      const carried = found && open(found.carried, `challenge ${id}`);
      return carried && { ...found, carried };
    },
    prune: (before) => store.challenges.prune(before),
  };

  const sessions: SessionStore = {
    put: (session) => {
      const nothing = Object.keys(session.states).length === 0;
      const states = nothing ? {} : seal(session.states, `session ${session.id}`);
      return store.sessions.put({ ...session, states });
    },
    async get(id) {
      const found = await store.sessions.get(id);
      const states = found && open(found.states, `session ${id}`);
      return states && { ...found, states };
    },
    end: (which) => store.sessions.end(which),
    prune: (before) => store.sessions.prune(before),
  };

  return { ...store, challenges, sessions };
}
