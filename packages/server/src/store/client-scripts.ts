import type { Transaction } from "kysely";
import type {
  ClientScriptStore,
  ListedScopedScript,
  ScopedScript,
  ScopedVariable,
  ScriptOwner,
  ScriptScope,
} from "./client-script-store.ts";
import type { ClientScriptTables, ScopeColumns } from "./client-script-tables.ts";
import { clientScriptTickets } from "./client-script-tickets.ts";
import type { Database } from "./database.ts";
import type { Tables } from "./schema.ts";

type VersionRow = ClientScriptTables["client_script_versions"];

export function clientScriptStore(database: Database): ClientScriptStore {
  const { query, transaction } = database;
  const live = () =>
    query
      .selectFrom("client_script_versions as v")
      .innerJoin("client_scripts as s", (join) =>
        join
          .onRef("s.owner_kind", "=", "v.owner_kind")
          .onRef("s.owner_name", "=", "v.owner_name")
          .onRef("s.platform", "=", "v.platform")
          .onRef("s.privilege", "=", "v.privilege")
          .onRef("s.event", "=", "v.event")
          .onRef("s.live_version", "=", "v.version"),
      );
  const versionsIn = (scope: ScriptScope) => query.selectFrom("client_script_versions").where(inScope(scope));

  return {
    ...clientScriptTickets(database),

    add: (script) =>
      transaction(async (trx) => {
        const version = await nextVersion(trx, script.scope);
        const added: ScopedScript = { ...script, version };
        await trx.insertInto("client_script_versions").values(rowOf(added)).execute();
        return added;
      }),

    async get(scope, version) {
      if (version === undefined) {
        const row = await live().selectAll("v").where(inScope(scope, "v.")).executeTakeFirst();
        return row && scriptOf(row);
      }
      const row = await versionsIn(scope).selectAll().where("version", "=", version).executeTakeFirst();
      return row && scriptOf(row);
    },

    async versions(scope) {
      const rows = await versionsIn(scope).select(listed).orderBy("version").execute();
      const present = await query
        .selectFrom("client_scripts")
        .select("live_version")
        .where(inScope(scope))
        .executeTakeFirst();
      return rows.map((row) => listedOf(row, row.version === present?.live_version));
    },

    async remove(scope) {
      const result = await query
        .updateTable("client_scripts")
        .set({ live_version: null })
        .where(inScope(scope))
        .where("live_version", "is not", null)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },

    async list(owner) {
      let select = live().select(listed.map((column) => `v.${column}` as const));
      if (owner !== undefined)
        select = select.where("v.owner_kind", "=", owner.kind).where("v.owner_name", "=", nameOf(owner));
      const rows = await select
        .orderBy("v.owner_kind")
        .orderBy("v.owner_name")
        .orderBy("v.platform")
        .orderBy("v.privilege")
        .orderBy("v.event")
        .execute();
      return rows.map((row) => listedOf(row, true));
    },

    async liveFor(group) {
      const rows = await live()
        .selectAll("v")
        .where((eb) =>
          eb.or([
            eb("v.owner_kind", "=", "default"),
            ...(group === null ? [] : [eb.and([eb("v.owner_kind", "=", "group"), eb("v.owner_name", "=", group)])]),
          ]),
        )
        .execute();
      return rows.map(scriptOf);
    },

    async setVariable({ scope, name, value }) {
      await query
        .insertInto("client_script_variables")
        .values({ ...columnsOf(scope), name, value })
        .onConflict((conflict) =>
          conflict
            .columns(["owner_kind", "owner_name", "platform", "privilege", "event", "name"])
            .doUpdateSet({ value }),
        )
        .execute();
    },

    async deleteVariable(scope, name) {
      const result = await query
        .deleteFrom("client_script_variables")
        .where(inScope(scope))
        .where("name", "=", name)
        .executeTakeFirst();
      return result.numDeletedRows > 0n;
    },

    async variables(owner) {
      let select = query.selectFrom("client_script_variables").selectAll();
      if (owner !== undefined)
        select = select.where("owner_kind", "=", owner.kind).where("owner_name", "=", nameOf(owner));
      const rows = await select.orderBy("owner_name").orderBy("name").orderBy("platform").execute();
      return rows.map((row): ScopedVariable => ({ scope: scopeOf(row), name: row.name, value: row.value }));
    },
  };
}

/** Everything a group has here, for when it is deleted. */
export async function deleteScriptsOf(trx: Transaction<Tables>, group: string): Promise<void> {
  for (const table of ["client_scripts", "client_script_versions", "client_script_variables"] as const) {
    await trx.deleteFrom(table).where("owner_kind", "=", "group").where("owner_name", "=", group).execute();
  }
}

async function nextVersion(trx: Transaction<Tables>, scope: ScriptScope): Promise<number> {
  const raised = await trx
    .updateTable("client_scripts")
    .set((eb) => ({ latest_version: eb("latest_version", "+", 1), live_version: eb("latest_version", "+", 1) }))
    .where(inScope(scope))
    .returning("latest_version")
    .executeTakeFirst();
  if (raised !== undefined) return Number(raised.latest_version);
  await trx
    .insertInto("client_scripts")
    .values({ ...columnsOf(scope), latest_version: 1, live_version: 1 })
    .execute();
  return 1;
}

const listed = [
  "owner_kind",
  "owner_name",
  "platform",
  "privilege",
  "event",
  "version",
  "name",
  "sha256",
  "bytes",
  "created_at",
  "created_by",
] as const;

/** The conditions that pick the rows of one scope. */
function inScope<Prefix extends "" | "v.">(scope: ScriptScope, prefix: Prefix = "" as Prefix) {
  const columns = Object.entries(columnsOf(scope)) as [keyof ScopeColumns, string][];
  // biome-ignore lint/suspicious/noExplicitAny: the builder's type differs with every table; the columns are of them all.
  return (eb: any) => eb.and(columns.map(([column, value]) => eb(`${prefix}${column}`, "=", value)));
}

function columnsOf({ owner, platform, privilege, event }: ScriptScope): ScopeColumns {
  return { owner_kind: owner.kind, owner_name: nameOf(owner), platform, privilege, event };
}

function scopeOf({ owner_kind, owner_name, platform, privilege, event }: ScopeColumns): ScriptScope {
  const owner: ScriptOwner = owner_kind === "default" ? { kind: "default" } : { kind: "group", name: owner_name };
  return { owner, platform, privilege, event };
}

function nameOf(owner: ScriptOwner): string {
  return owner.kind === "default" ? "" : owner.name;
}

function rowOf({ scope, createdAt, createdBy, ...script }: ScopedScript): VersionRow {
  const bytes = Buffer.byteLength(script.text);
  return { ...columnsOf(scope), ...script, bytes, created_at: createdAt, created_by: createdBy };
}

function scriptOf(row: VersionRow): ScopedScript {
  const { version, name, text, sha256, created_at: createdAt, created_by: createdBy } = row;
  return { scope: scopeOf(row), version, name, text, sha256, createdAt, createdBy };
}

function listedOf(row: Omit<VersionRow, "text">, live: boolean): ListedScopedScript {
  const { version, name, sha256, bytes, created_at: createdAt, created_by: createdBy } = row;
  return { scope: scopeOf(row), version, name, sha256, bytes, createdAt, createdBy, live };
}
