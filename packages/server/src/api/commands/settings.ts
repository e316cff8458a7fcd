import { parseAppVerify } from "@sallyport/protocol";
import { z } from "zod";
import { isSessionLifetime, sessionLifetimeKey } from "../../auth/session-lifetime.ts";
import { authMethods } from "../../core/credentials.ts";
import { SallyportError } from "../../core/errors.ts";
import { maskSettings, readSettings } from "../../post-auth/script-settings.ts";
import type { SettingStore } from "../../store/store.ts";
import { settingReason } from "../access-server/settings-here.ts";
import { type CommandTable, command } from "../command.ts";
import { key, text } from "../input.ts";

/** `id` is the key again: every thing in a list has one. */
export type Setting = { id: string; key: string; value: string };

/** A setting that is kept elsewhere: Access Server's name for something that is more than a text here. */
export type SettingElsewhere = {
  get(): Promise<string | undefined>;
  set(value: string): Promise<void>;
  /** False where there was none. */
  delete(): Promise<boolean>;
};

/** Settings that are checked and applied by somebody who knows what they are for; the first group names whose. */
export type SettingFamily = {
  pattern: RegExp;
  /** `value` undefined: it is deleted. */
  set(owner: string, value: string | undefined): Promise<void>;
};

/** Values that would lock everybody out are refused when they are set. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  "auth.module.type": authMethods.filter((method) => method !== "autologin" && method !== "session"),
  "vpn.client.admin_scripts": ["true", "false"],
  "vpn.client.script_reports": ["true", "false"],
};

const secretKey = /(^|[._])(password|passwd|pw|bind_pw|secret|private_key)$/;
const scriptSettingsKey = /^post_auth\..+\.settings$/;

/** Access-Server-named settings. Secrets are masked, unless somebody says that they want to see them. */
export function settingCommands(deps: {
  settings: SettingStore;
  elsewhere: Readonly<Record<string, SettingElsewhere>>;
  families?: readonly SettingFamily[];
}): CommandTable {
  const { settings, families = [] } = deps;
  const keptElsewhere = (wanted: string) =>
    Object.hasOwn(deps.elsewhere, wanted) ? deps.elsewhere[wanted] : inFamily(wanted);
  const inFamily = (wanted: string): SettingElsewhere | undefined => {
    const family = families.find(({ pattern }) => pattern.test(wanted));
    if (family === undefined) return undefined;
    const owner = family.pattern.exec(wanted)?.[1] ?? "";
    return {
      get: () => settings.get(wanted),
      set: (value) => family.set(owner, value),
      delete: async () => {
        if ((await settings.get(wanted)) === undefined) return false;
        await family.set(owner, undefined);
        return true;
      },
    };
  };
  const unset = (wanted: string) => new SallyportError("not-found", `${wanted} is not set`);

  return {
    "config-set": command({
      summary: "Sets a setting.",
      input: z.strictObject({ key, value: text }),
      run: async ({ key: wanted, value }): Promise<Setting & { unread?: string }> => {
        checkSetting(wanted, value);
        const elsewhere = keptElsewhere(wanted);
        await (elsewhere ? elsewhere.set(value) : settings.set(wanted, value));
        const unread = elsewhere === undefined ? settingReason(wanted) : null;
        return { ...shown(wanted, value), ...(unread !== null && { unread }) };
      },
    }),
    "config-get": command({
      summary: "A setting's value; a secret is masked unless it is asked to be shown.",
      input: z.strictObject({ key, showSecrets: z.boolean().default(false) }),
      run: async ({ key: wanted, showSecrets }): Promise<Setting> => {
        const elsewhere = keptElsewhere(wanted);
        const value = await (elsewhere ? elsewhere.get() : settings.get(wanted));
        if (value === undefined) throw unset(wanted);
        return showSecrets ? { id: wanted, key: wanted, value } : shown(wanted, value);
      },
    }),
    "config-delete": command({
      summary: "Deletes a setting, so that its default holds.",
      input: z.strictObject({ key }),
      run: async ({ key: wanted }) => {
        const elsewhere = keptElsewhere(wanted);
        if (!(await (elsewhere ? elsewhere.delete() : settings.delete(wanted)))) throw unset(wanted);
        return { id: wanted };
      },
    }),
    "config-list": command({
      summary: "All settings; secrets are masked unless they are asked to be shown.",
      input: z.strictObject({ showSecrets: z.boolean().default(false) }),
      run: async ({ showSecrets }): Promise<Setting[]> => {
        const values = new Map(Object.entries(await settings.list()));
        for (const [wanted, elsewhere] of Object.entries(deps.elsewhere)) {
          const value = await elsewhere.get();
          if (value !== undefined) values.set(wanted, value);
        }
        const sorted = [...values].sort(([a], [b]) => (a < b ? -1 : 1));
        return sorted.map(([wanted, value]) =>
          showSecrets ? { id: wanted, key: wanted, value } : shown(wanted, value),
        );
      },
    }),
  };
}

function checkAppVerify(text: string): void {
  const { faults } = parseAppVerify(text);
  if (faults.length === 0) return;
  const shown = faults.slice(0, 5).map(({ line, message }) => `line ${line}: ${message}`);
  const more = faults.length > shown.length ? [`and ${faults.length - shown.length} more`] : [];
  throw new SallyportError("invalid-input", `vpn.client.app_verify: ${[...shown, ...more].join("; ")}`);
}

/** Throws `invalid-input` for a value that would lock everybody out, or that nobody could read. */
export function checkSetting(key: string, value: string): void {
  const values = Object.hasOwn(allowed, key) ? allowed[key] : undefined;
  if (values && !values.includes(value)) {
    throw new SallyportError("invalid-input", `${key} must be one of ${values.join(", ")}`);
  }
  if (key === sessionLifetimeKey && !isSessionLifetime(value)) {
    throw new SallyportError("invalid-input", `${key} must be a number of seconds; 0 for sessions that do not expire`);
  }
  if (key === "vpn.client.app_verify") checkAppVerify(value);
}

/** The value as it may be shown: a secret is masked. */
export function shownSetting(key: string, value: string): string {
  if (scriptSettingsKey.test(key)) return shownScriptSettings(value);
  return secretKey.test(key) ? "[secret]" : value;
}

/** As they are written where nothing has to be masked. */
function shownScriptSettings(text: string): string {
  try {
    const settings = readSettings(text);
    const shown = JSON.stringify(maskSettings(settings));
    return shown === JSON.stringify(settings) ? text : shown;
  } catch {
    return "[secret]"; // not a JSON object: nobody knows what is in it
  }
}

function shown(wanted: string, value: string): Setting {
  return { id: wanted, key: wanted, value: shownSetting(wanted, value) };
}
