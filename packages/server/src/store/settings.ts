import type { Database } from "./database.ts";
import type { SettingStore } from "./store.ts";

export function settingStore({ query }: Database): SettingStore {
  return {
    async get(key) {
      const row = await query.selectFrom("settings").select("value").where("key", "=", key).executeTakeFirst();
      return row?.value;
    },

    async list() {
      const rows = await query.selectFrom("settings").selectAll().orderBy("key").execute();
      return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
    },

    async set(key, value) {
      await query
        .insertInto("settings")
        .values({ key, value })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ value }))
        .execute();
    },

    async delete(key) {
      const result = await query.deleteFrom("settings").where("key", "=", key).executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
  };
}
