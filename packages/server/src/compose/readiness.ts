import { setTimeout as pause } from "node:timers/promises";
import type { Store } from "../store/store.ts";
import { freeSpace } from "./free-space.ts";

const probeDeadlineMs = 2_000;
/** Anybody may ask: so often at most is looked. */
const lastsMs = 1_000;

/**
 * Why nobody, or not everybody, can be let in at this moment; undefined where they can. A tunnel that is up stays up
 * meanwhile.
 */
export function createReadiness(options: {
  started: () => boolean;
  listeners: () => readonly { profileId: string; up: boolean }[];
  store: Pick<Store, "challenges">;
  dataDirectory: string;
}): () => Promise<string | undefined> {
  let last: { at: number; answer: Promise<string | undefined> } | undefined;
  const writable = writeProbe(options.store);
  const look = async () => unserved(options.listeners()) ?? (await noRoom(options.dataDirectory)) ?? (await writable());
  return async () => {
    if (!options.started()) return "the daemon is starting";
    if (last === undefined || performance.now() - last.at > lastsMs) {
      const answer = look().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
      last = { at: performance.now(), answer };
    }
    return await last.answer;
  };
}

function unserved(listeners: readonly { profileId: string; up: boolean }[]): string | undefined {
  const served = new Set(listeners.flatMap(({ profileId, up }) => (up ? [profileId] : [])));
  const down = new Set(listeners.map(({ profileId }) => profileId).filter((profile) => !served.has(profile)));
  return down.size > 0 ? `no VPN daemon is attached for profile ${[...down].join(", ")}` : undefined;
}

async function noRoom(dataDirectory: string): Promise<string | undefined> {
  const { forDatabase } = await freeSpace(dataDirectory);
  return forDatabase ? undefined : `the disk of ${dataDirectory} is full`;
}

/** Deletes nothing, and needs the right to write all the same. One at a time, however long the database is locked. */
function writeProbe(store: Pick<Store, "challenges">): () => Promise<string | undefined> {
  let underWay: Promise<undefined> | undefined;
  return async () => {
    underWay ??= store.challenges
      .prune(new Date(0).toISOString())
      .then(() => undefined)
      .finally(() => {
        underWay = undefined;
      });
    underWay.catch(() => undefined);
    const late = pause(probeDeadlineMs, `the database could not be written within ${probeDeadlineMs} ms`, {
      ref: false,
    });
    return await Promise.race([underWay, late]);
  };
}
