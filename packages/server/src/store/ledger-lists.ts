import { type Kysely, sql } from "kysely";
import { connectionOf } from "./connection-rows.ts";
import type { Tables } from "./schema.ts";
import type { Ledger } from "./store.ts";

/** The reading half of the ledger. */
export function connectionLists(
  query: Kysely<Tables>,
): Pick<Ledger, "get" | "byTunnel" | "unfinished" | "expired" | "list"> {
  const rows = () => query.selectFrom("connections").selectAll();
  // Written into the SQL, not bound: only then does an engine use the index of unfinished rows.
  const unfinished = sql<boolean>`finished = 0`;

  return {
    async get(id) {
      const row = await rows().where("id", "=", id).executeTakeFirst();
      return row && connectionOf(row);
    },

    async byTunnel({ profileId, listener, key }) {
      const found = await rows()
        .where("tunnel_key", "=", key)
        .where("listener", "=", listener)
        .where("profile_id", "=", profileId)
        .where(unfinished)
        .execute();
      const row = found.toSorted((a, b) => rank(b).localeCompare(rank(a)))[0];
      return row && connectionOf(row);
    },

    async unfinished({ nodeNumber, profileId, listener }) {
      let select = rows().where("node_number", "=", nodeNumber).where(unfinished);
      if (profileId !== undefined) select = select.where("profile_id", "=", profileId);
      if (listener !== undefined) select = select.where("listener", "=", listener);
      return (await select.execute()).map(connectionOf);
    },

    async expired({ nodeNumber, now }) {
      const select = rows().where("node_number", "=", nodeNumber).where(unfinished).where("ended_at", "is", null);
      return (await select.where("expires_at", "<=", now).execute()).map(connectionOf);
    },

    async list({ userId, profileId, open, since, limit }) {
      let select = rows().orderBy("reserved_at", "desc").orderBy("id", "desc").limit(limit);
      if (userId !== undefined) select = select.where("user_id", "=", userId);
      if (profileId !== undefined) select = select.where("profile_id", "=", profileId);
      if (open !== undefined) select = select.where("ended_at", open ? "is" : "is not", null);
      if (since !== undefined) select = select.where("reserved_at", ">=", since);
      return (await select.execute()).map(connectionOf);
    },
  };
}

/** A daemon started anew may use an old key for a new tunnel: then the connection that has not ended is meant. */
function rank(row: { ended_at: string | null; reserved_at: string; id: string }): string {
  return `${row.ended_at === null ? 1 : 0} ${row.reserved_at} ${row.id}`;
}
