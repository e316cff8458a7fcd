import { z } from "zod";
import type { Directory } from "../../accounts/directory.ts";
import { SallyportError } from "../../core/errors.ts";
import { maskSecrets, type PropertyOwner } from "../../core/properties.ts";
import { Secret } from "../../core/secret.ts";
import type { ScriptVersions } from "../../post-auth/versions.ts";
import type { AccountStore, SettingStore } from "../../store/store.ts";
import { type Ignored, type ImportPlan, type Present, planImport, scriptKey } from "../access-server/import-plan.ts";
import { defaultName } from "../access-server/property-records.ts";
import { readDumps } from "../access-server/read-dump.ts";
import { type CommandTable, command } from "../command.ts";
import type { SettingElsewhere } from "./settings.ts";
import { checkSetting, shownSetting } from "./settings.ts";

/** One thing that an import makes or changes; `key` null: the thing itself. Secrets are masked. */
export type ImportStep = { name: string; key: string | null; before: string | null; after: string | null };

export type ImportReport = {
  /** Whether anything was written: false for a dry run. */
  done: boolean;
  made: ImportStep[];
  changed: ImportStep[];
  unchanged: number;
  ignored: Ignored[];
};

/** Takes over what Access Server's `sacli` prints of its users, groups, properties and settings. */
export function importCommands(deps: {
  accounts: AccountStore;
  directory: Directory;
  settings: SettingStore;
  scripts: Pick<ScriptVersions, "check">;
  script: SettingElsewhere;
}): CommandTable {
  return {
    "import-access-server": command({
      summary: "Takes over what Access Server's sacli prints. All is checked before anything is written.",
      input: z.strictObject({ dumps: z.array(z.unknown()).min(1).max(10), dryRun: z.boolean().default(false) }),
      run: async ({ dumps, dryRun }): Promise<ImportReport> => {
        const plan = planImport(readDumps(dumps), await presentState(deps));
        for (const { key, value } of plan.settings) checkSetting(key, value);
        if (plan.script !== null) await mustLoad(plan.script, deps.scripts);
        if (!dryRun) await carryOut(plan, deps);
        return report(plan, !dryRun);
      },
    }),
  };
}

type Deps = Parameters<typeof importCommands>[0];

async function presentState({ accounts, settings, script }: Deps): Promise<Present> {
  const [users, groups, all, set, live] = await Promise.all([
    accounts.users(),
    accounts.groups(),
    accounts.allProperties(),
    settings.list(),
    script.get(),
  ]);
  const properties = new Map(all.map((one) => [ownerText(one.owner), one.properties]));
  return {
    users: new Map(users.map(({ id, hasPassword }) => [id, hasPassword])),
    groups: new Set(groups.map(({ id }) => id)),
    properties: (owner) => properties.get(ownerText(owner)) ?? {},
    settings: set,
    script: live,
  };
}

function ownerText(owner: PropertyOwner): string {
  return owner.kind === "default" ? owner.kind : `${owner.kind} ${owner.name}`;
}

async function mustLoad(text: string, scripts: Deps["scripts"]): Promise<void> {
  const checked = await scripts.check({ name: "access-server", text });
  if (!("fault" in checked)) return;
  const { message, line } = checked.fault;
  const where = line === null ? "" : ` (line ${line})`;
  throw new SallyportError("script-invalid", `nothing was changed: ${scriptKey}${where}: ${message}`);
}

/** Groups before those who are in them; the script, which decides about everybody, last. */
async function carryOut(plan: ImportPlan, { directory, settings, script }: Deps): Promise<void> {
  for (const group of plan.groups) await directory.addGroup(group);
  for (const id of plan.users) await directory.addUser({ id, password: undefined });
  for (const { owner, values } of plan.properties) await directory.setProperties(owner, values);
  for (const { user, sha256 } of plan.passwords) await directory.adoptPassword(user, new Secret(sha256));
  for (const { key, value } of plan.settings) await settings.set(key, value);
  if (plan.script !== null) await script.set(plan.script);
}

function report(plan: ImportPlan, done: boolean): ImportReport {
  const thing = (name: string): ImportStep => ({ name, key: null, before: null, after: null });
  const properties = plan.properties.flatMap(({ owner, values, before }) => {
    const [after, was] = [maskSecrets(values), maskSecrets(before)];
    const name = owner.kind === "default" ? defaultName : owner.name;
    return Object.entries(after).map(([key, value]) => ({ name, key, before: was[key] ?? null, after: value }));
  });
  const settings = plan.settings.map(({ key, value, before }) => ({
    name: key,
    key: null,
    before: before === null ? null : shownSetting(key, before),
    after: shownSetting(key, value),
  }));
  const steps = [...properties, ...settings];
  return {
    done,
    made: [
      ...plan.groups.map(thing),
      ...plan.users.map(thing),
      ...steps.filter(({ before }) => before === null),
      ...plan.passwords.map(({ user }) => ({ ...thing(user), key: "pvt_password_digest", after: "[secret]" })),
      ...(plan.script === null ? [] : [thing(scriptKey)]),
    ],
    changed: steps.filter(({ before }) => before !== null),
    unchanged: plan.unchanged,
    ignored: plan.ignored,
  };
}
