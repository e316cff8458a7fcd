import type { Transaction } from "kysely";
import type { Database } from "./database.ts";
import type { ScriptVersionTable, Tables } from "./schema.ts";
import type { ScriptStore, ScriptVersion } from "./store.ts";

export function scriptStore({ query, transaction }: Database): ScriptStore {
  const versions = () => query.selectFrom("script_versions").selectAll("script_versions");

  return {
    addVersion: (given) =>
      transaction(async (trx) => {
        const version = await nextVersion(trx, given.script);
        await ensureScript(trx, given.script);
        const added: ScriptVersion = { ...given, version };
        await trx.insertInto("script_versions").values(rowOf(added)).execute();
        return added;
      }),

    async version(script, version) {
      const row = await versions().where("script", "=", script).where("version", "=", version).executeTakeFirst();
      return row && versionOf(row);
    },

    async versions(script) {
      const rows = await versions().where("script", "=", script).orderBy("version").execute();
      return rows.map(versionOf);
    },

    async list() {
      const rows = await query
        .selectFrom("scripts")
        .innerJoin("script_numbers", "script_numbers.script", "scripts.id")
        .select(["scripts.id", "active_version", "latest_version", "position"])
        .orderBy("position")
        .execute();
      return rows.map((row) => ({
        id: row.id,
        activeVersion: row.active_version,
        latestVersion: row.latest_version,
        position: row.position,
      }));
    },

    activate: (script, version, at) =>
      transaction(async (trx) => {
        if (version !== null && !(await hasVersion(trx, script, version))) return false;
        const { numUpdatedRows } = await trx
          .updateTable("scripts")
          .set({ active_version: version })
          .where("id", "=", script)
          .executeTakeFirst();
        if (numUpdatedRows === 0n) return false;
        const last = await trx
          .selectFrom("script_activations")
          .select((eb) => eb.fn.max("number").as("number"))
          .where("script", "=", script)
          .executeTakeFirst();
        const number = Number(last?.number ?? 0) + 1;
        await trx.insertInto("script_activations").values({ script, number, version, at }).execute();
        return true;
      }),

    async active() {
      const rows = await versions()
        .innerJoin("scripts", (join) =>
          join.onRef("scripts.id", "=", "script_versions.script").onRef("active_version", "=", "version"),
        )
        .orderBy("position")
        .execute();
      return rows.map(versionOf);
    },

    async activations(script) {
      return await query
        .selectFrom("script_activations")
        .select(["version", "at"])
        .where("script", "=", script)
        .orderBy("number", "desc")
        .execute();
    },

    reorder: (names) =>
      transaction(async (trx) => {
        const rows = await trx.selectFrom("scripts").select("id").orderBy("position").execute();
        const known = rows.map((row) => row.id);
        if (names.some((name) => !known.includes(name))) return false;
        const order = [...new Set([...names, ...known])];
        for (const [index, id] of order.entries()) {
          await trx
            .updateTable("scripts")
            .set({ position: index + 1 })
            .where("id", "=", id)
            .execute();
        }
        return true;
      }),

    async remove(script) {
      const result = await query.deleteFrom("scripts").where("id", "=", script).executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
  };
}

async function nextVersion(trx: Transaction<Tables>, script: string): Promise<number> {
  const { latest_version } = await trx
    .insertInto("script_numbers")
    .values({ script, latest_version: 1 })
    .onConflict((conflict) =>
      conflict.column("script").doUpdateSet((eb) => ({ latest_version: eb("script_numbers.latest_version", "+", 1) })),
    )
    .returning("latest_version")
    .executeTakeFirstOrThrow();
  return latest_version;
}

/** A new script comes last. */
async function ensureScript(trx: Transaction<Tables>, id: string): Promise<void> {
  const last = await trx
    .selectFrom("scripts")
    .select((eb) => eb.fn.max("position").as("position"))
    .executeTakeFirst();
  await trx
    .insertInto("scripts")
    .values({ id, position: Number(last?.position ?? 0) + 1, active_version: null })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function hasVersion(trx: Transaction<Tables>, script: string, version: number): Promise<boolean> {
  const row = await trx
    .selectFrom("script_versions")
    .select("version")
    .where("script", "=", script)
    .where("version", "=", version)
    .executeTakeFirst();
  return row !== undefined;
}

function rowOf(version: ScriptVersion): ScriptVersionTable {
  return {
    script: version.script,
    version: version.version,
    language: version.language,
    text: version.text,
    sha256: version.sha256,
    cases: version.cases,
    created_at: version.createdAt,
    created_by: version.createdBy,
  };
}

function versionOf(row: ScriptVersionTable): ScriptVersion {
  return {
    script: row.script,
    version: row.version,
    language: row.language,
    text: row.text,
    sha256: row.sha256,
    cases: row.cases,
    createdAt: row.created_at,
    createdBy: row.created_by,
  };
}
