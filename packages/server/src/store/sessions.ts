import type { Database } from "./database.ts";
import type { SessionStore } from "./store.ts";

export function sessionStore({ query }: Database): SessionStore {
  return {
    async put(session) {
      const row = {
        id: session.id,
        user_id: session.userId,
        signed_in_as: session.signedInAs,
        profile_id: session.profileId,
        connection_id: session.connectionId,
        created_at: session.createdAt,
        expires_at: session.expiresAt,
        states: JSON.stringify(session.states),
      };
      await query
        .insertInto("sessions")
        .values(row)
        .onConflict((conflict) => conflict.column("id").doUpdateSet(row))
        .execute();
    },

    async get(id) {
      const row = await query.selectFrom("sessions").selectAll().where("id", "=", id).executeTakeFirst();
      return (
        row && {
          id: row.id,
          userId: row.user_id,
          signedInAs: row.signed_in_as,
          profileId: row.profile_id,
          connectionId: row.connection_id,
          createdAt: row.created_at,
          expiresAt: row.expires_at,
          states: JSON.parse(row.states),
        }
      );
    },

    async end(which) {
      const column = "userId" in which ? "user_id" : "connectionId" in which ? "connection_id" : "id";
      const value = "userId" in which ? which.userId : "connectionId" in which ? which.connectionId : which.id;
      const result = await query.deleteFrom("sessions").where(column, "=", value).executeTakeFirst();
      return Number(result.numDeletedRows);
    },

    async prune(before) {
      const result = await query.deleteFrom("sessions").where("expires_at", "<=", before).executeTakeFirst();
      return Number(result.numDeletedRows);
    },
  };
}
