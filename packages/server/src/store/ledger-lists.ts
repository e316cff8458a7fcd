import { type Kysely, sql } from "kysely";
import { connectionOf } from "./connection-rows.ts";
import type { Tables } from "./schema.ts";
import type { Ledger } from "./store.ts";

/** The reading half of the ledger. */
export function connectionLists(
  query: Kysely<Tables>,
): Pick<Ledger, "get" | "byTunnel" | "ofClientConfig" | "unfinished" | "expired" | "withdrawn" | "list"> {
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

    async ofClientConfig(id) {
      const found = await rows().where("client_config_id", "=", id).where(unfinished).execute();
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

    async withdrawn({ nodeNumber }) {
      const found = await query
        .selectFrom("connections")
        .select((eb) => [
          "connections.id",
          eb
            .exists(
              eb
                .selectFrom("client_configs")
                .select("client_configs.id")
                .whereRef("client_configs.profile_id", "=", "connections.profile_id")
                .whereRef("client_configs.connection_id", "=", "connections.connection_id")
                .where("client_configs.revoked_at", "is not", null)
                // Whoever replaces a device, or takes it back for other reasons, ends its connection with that reason.
                .where((or) =>
                  or.or([
                    or("client_configs.end_reason", "is", null),
                    or("client_configs.end_reason", "in", ["revoked", "deleted"]),
                  ]),
                )
                // A WireGuard key may have had several; an OpenVPN certificate has one.
                .where((or) =>
                  or.or([
                    or("connections.client_config_id", "is", null),
                    or("client_configs.id", "=", or.ref("connections.client_config_id")),
                  ]),
                ),
            )
            .as("revoked"),
          eb
            .exists(
              eb
                .selectFrom("users")
                .select("users.id")
                .whereRef("users.id", "=", "connections.user_id")
                .where("users.disabled", "=", 1),
            )
            .as("disabled"),
        ])
        .where("connections.node_number", "=", nodeNumber)
        .where(sql<boolean>`connections.finished = 0`)
        .where("connections.ended_at", "is", null)
        .execute();
      return found.flatMap(({ id, revoked, disabled }) => {
        if (Number(revoked) === 1) return { id, because: "config-revoked" as const };
        return Number(disabled) === 1 ? { id, because: "account-disabled" as const } : [];
      });
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
