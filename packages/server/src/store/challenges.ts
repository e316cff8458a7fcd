import type { Database } from "./database.ts";
import type { ChallengeStore } from "./store.ts";

export function challengeStore({ query }: Database): ChallengeStore {
  return {
    async put(challenge) {
      await query
        .insertInto("challenges")
        .values({
          id: challenge.id,
          user_id: challenge.userId,
          profile_id: challenge.profileId,
          serial: challenge.serial,
          expires_at: challenge.expiresAt,
          carried: JSON.stringify(challenge.carried),
        })
        .execute();
    },

    async take(id, now) {
      const row = await query.deleteFrom("challenges").where("id", "=", id).returningAll().executeTakeFirst();
      if (row === undefined || row.expires_at <= now) return undefined;
      return {
        id: row.id,
        userId: row.user_id,
        profileId: row.profile_id,
        serial: row.serial,
        expiresAt: row.expires_at,
        carried: JSON.parse(row.carried),
      };
    },

    async prune(before) {
      const result = await query.deleteFrom("challenges").where("expires_at", "<=", before).executeTakeFirst();
      return Number(result.numDeletedRows);
    },
  };
}
