import type { Migration } from "kysely/migration";
import * as foundation from "./0001-foundation.ts";
import * as challengesAndSessions from "./0002-challenges-and-sessions.ts";
import * as wireguard from "./0003-wireguard.ts";
import * as grace from "./0004-grace.ts";
import * as radiusClasses from "./0005-radius-classes.ts";
import * as clientScripts from "./0006-client-scripts.ts";

/**
 * Every change of the schema, in order, by name. A list, not a folder that is read: what runs is what was built. A
 * migration that was in a release is never changed; the next one mends it.
 */
export const migrations: Readonly<Record<string, Migration>> = {
  "0001-foundation": foundation,
  "0002-challenges-and-sessions": challengesAndSessions,
  "0003-wireguard": wireguard,
  "0004-grace": grace,
  "0005-radius-classes": radiusClasses,
  "0006-client-scripts": clientScripts,
};
