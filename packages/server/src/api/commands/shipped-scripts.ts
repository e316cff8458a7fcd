import { z } from "zod";
import { maskSettings } from "../../post-auth/script-settings.ts";
import type { ListedShipped, ShippedScripts } from "../../post-auth/shipped.ts";
import type { ListedSettings, ListedVersion, ScriptVersions } from "../../post-auth/versions.ts";
import { type CommandTable, command } from "../command.ts";
import { name, text } from "../input.ts";

export type { ListedSettings, ListedShipped };

/** Scripts that come with Sallyport, and the settings that they and others have in place of edits. */
export function shippedScriptCommands(deps: {
  shipped: ShippedScripts;
  scripts: Pick<ScriptVersions, "settings" | "configure">;
}): CommandTable {
  const { shipped, scripts } = deps;
  return {
    "post-auth-shipped": command({
      summary: "The scripts that come with Sallyport, and which of them are stored.",
      input: z.strictObject({}),
      run: async (): Promise<ListedShipped[]> => await shipped.list(),
    }),
    "post-auth-add-shipped": command({
      summary: "Stores a script that comes with Sallyport, with its cases, and settings if given; it is not live yet.",
      input: z.strictObject({ name, as: name.optional(), settings: text.optional(), by: name }),
      run: async ({ name: wanted, as, settings, by }): Promise<ListedVersion> =>
        await shipped.add({
          name: wanted,
          by,
          ...(as !== undefined && { as }),
          ...(settings !== undefined && { settings }),
        }),
    }),
    "post-auth-settings": command({
      summary: "A script's settings: its defaults, what is set, and what is in force; secrets are masked.",
      input: z.strictObject({ name }),
      run: async (input): Promise<ListedSettings> => shown(await scripts.settings(input.name)),
    }),
    "post-auth-configure": command({
      summary: "Sets all settings of a script, a JSON object, in force at once; without any, its defaults hold.",
      input: z.strictObject({ name, settings: text.optional() }),
      run: async ({ name: wanted, settings }): Promise<ListedSettings> =>
        shown(await scripts.configure({ name: wanted, settings })),
    }),
  };
}

function shown({ id, defaults, set, inForce }: ListedSettings): ListedSettings {
  return { id, defaults: maskSettings(defaults), set: maskSettings(set), inForce: maskSettings(inForce) };
}
