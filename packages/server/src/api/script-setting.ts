import type { ScriptVersions } from "../post-auth/versions.ts";
import type { SettingElsewhere, SettingFamily } from "./commands/settings.ts";

/** The script behind Access Server's `auth.module.post_auth_script` (COMPATIBILITY section 1). */
const name = "access-server";

/** Setting it adds and activates a version; getting it gives the live text; deleting it removes the script. */
export function scriptSetting(scripts: ScriptVersions): SettingElsewhere {
  const present = async () => (await scripts.list()).find(({ id }) => id === name);
  return {
    async get() {
      const version = (await present())?.activeVersion;
      return version == null ? undefined : (await scripts.text(name, version)).text;
    },
    async set(text) {
      const { version } = await scripts.add({ name, text, by: "config" });
      await scripts.activate({ name, version });
    },
    async delete() {
      if ((await present()) === undefined) return false;
      await scripts.remove(name);
      return true;
    },
  };
}

/** The settings of each script, which it must accept, in force at once: `post_auth.NAME.settings`, a JSON object. */
export function scriptSettings(scripts: Pick<ScriptVersions, "configure">): SettingFamily {
  return {
    pattern: /^post_auth\.(.+)\.settings$/,
    async set(name, settings) {
      await scripts.configure({ name, settings });
    },
  };
}
