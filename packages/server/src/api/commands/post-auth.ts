import { z } from "zod";
import type { CaseResult } from "../../post-auth/cases/compare.ts";
import type { ListedScript, ListedVersion, ScriptVersions } from "../../post-auth/versions.ts";
import type { ScriptVersion } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { name, text } from "../input.ts";

export type { CaseResult, ListedScript, ListedVersion };

export type ShownVersion = ScriptVersion & { id: string };

const version = z.int().min(1);

/** Post-auth scripts as versions: stored, tried, made live, taken back. */
export function postAuthCommands(deps: { scripts: ScriptVersions }): CommandTable {
  const { scripts } = deps;
  const byName = z.strictObject({ name });
  const listed = async (id: string): Promise<ListedScript | undefined> =>
    (await scripts.list()).find((script) => script.id === id);

  return {
    "post-auth-add": command({
      summary: "Stores a new version of a script after loading it once; it is not live yet.",
      input: z.strictObject({
        name,
        text,
        language: z.enum(["python", "typescript"]).default("python"),
        cases: text.optional(),
        by: name,
      }),
      run: async ({ cases, ...script }) => await scripts.add({ ...script, ...(cases !== undefined && { cases }) }),
    }),
    "post-auth-list": command({
      summary: "The scripts in the order they run.",
      input: z.strictObject({}),
      run: async () => await scripts.list(),
    }),
    "post-auth-versions": command({
      summary: "A script's versions, without their texts.",
      input: byName,
      run: async (input) => await scripts.versions(input.name),
    }),
    "post-auth-show": command({
      summary: "A version's text; the latest unless one is named.",
      input: z.strictObject({ name, version: version.optional() }),
      run: async (input): Promise<ShownVersion> => {
        const shown = await scripts.text(input.name, input.version);
        return { id: `${shown.script}@${shown.version}`, ...shown };
      },
    }),
    "post-auth-activate": command({
      summary: "Makes a version live, the latest unless one is named. Its cases must pass, unless forced.",
      input: z.strictObject({ name, version: version.optional(), force: z.boolean().default(false) }),
      run: async ({ name: script, version: wanted, force }) =>
        await scripts.activate({ name: script, force, ...(wanted !== undefined && { version: wanted }) }),
    }),
    "post-auth-deactivate": command({
      summary: "Takes a script out of the chain; its versions stay.",
      input: byName,
      run: async (input) => {
        await scripts.deactivate(input.name);
        return await listed(input.name);
      },
    }),
    "post-auth-rollback": command({
      summary: "Makes the version live that was so before the present one.",
      input: byName,
      run: async (input) => await scripts.rollback(input.name),
    }),
    "post-auth-remove": command({
      summary: "Removes a script with all its versions.",
      input: byName,
      run: async (input) => {
        await scripts.remove(input.name);
        return { id: input.name };
      },
    }),
    "post-auth-order": command({
      summary: "Sets the order scripts run in; those left out follow as they were.",
      input: z.strictObject({ names: z.array(name).min(1).max(1000) }),
      run: async (input) => await scripts.order(input.names),
    }),
    "post-auth-test": command({
      summary: "Runs cases against a stored version: those given, or those it was stored with.",
      input: z.strictObject({ name, version: version.optional(), cases: text.optional() }),
      run: async ({ name: script, version: wanted, cases }) =>
        await scripts.test({
          name: script,
          ...(wanted !== undefined && { version: wanted }),
          ...(cases !== undefined && { cases }),
        }),
    }),
  };
}
