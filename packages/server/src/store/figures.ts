import { sql } from "kysely";
import type { Database } from "./database.ts";
import type { FigureStore } from "./store.ts";

export function figureStore({ query }: Database): FigureStore {
  return {
    async connections(nodeNumber) {
      const group = sql<string | null>`group_snapshot ->> 'name'`;
      const rows = await query
        .selectFrom("connections")
        .select(["profile_id", "protocol", "state", group.as("group"), query.fn.countAll().as("count")])
        .where("ended_at", "is", null)
        .where("node_number", "=", nodeNumber)
        .groupBy(["profile_id", "protocol", "state", group])
        .execute();
      return rows.map(({ profile_id: profileId, protocol, state, group: name, count }) => {
        return { profileId, protocol, state, group: name, count: Number(count) };
      });
    },

    async deliveries() {
      const states = ["waiting", "running", "failed"] as const;
      const counted = await Promise.all(
        states.map(async (state) => {
          const rows = await query
            .selectFrom("deliveries")
            .select(["hook", query.fn.countAll().as("count"), query.fn.min("created_at").as("oldest")])
            // Written into the SQL, not bound: only then does an engine use the index of this state.
            .where(sql<boolean>`state = ${sql.lit(state)}`)
            .groupBy("hook")
            .execute();
          return rows.map(({ hook, count, oldest }) => ({
            hook,
            state,
            count: Number(count),
            oldestCreatedAt: oldest,
          }));
        }),
      );
      return counted.flat();
    },
  };
}
