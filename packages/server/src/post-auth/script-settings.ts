import { SallyportError } from "../core/errors.ts";
import type { SettingStore } from "../store/store.ts";

/** What an administrator set for a script, over the defaults that it declares. */
export type ScriptSettings = Readonly<Record<string, unknown>>;

/** Under which key settings keep it: a JSON object. */
export const settingsKey = (script: string) => `post_auth.${script}.settings`;

/** Throws `invalid-input`. Whether a script has such settings is for the script to say, when it is loaded. */
export function readSettings(text: string | undefined): ScriptSettings {
  if (text === undefined) return {};
  let settings: unknown;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw new SallyportError("invalid-input", `settings must be a JSON object: ${(error as Error).message}`);
  }
  if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) return settings as ScriptSettings;
  throw new SallyportError("invalid-input", `settings must be a JSON object, like {"name": "value"}`);
}

/** What is kept for a script, as it is written. */
export function settingsOf(settings: Pick<SettingStore, "get">): (script: string) => Promise<string | undefined> {
  return (script) => settings.get(settingsKey(script));
}

const secretName = /secret|password|token/i;
const masked = "[secret]";

/** The settings as they may be listed: what is named a secret, a password or a token is masked, however deep. */
export function maskSettings(settings: ScriptSettings): ScriptSettings {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, maskValue(name, value)]));
}

function maskValue(name: string, value: unknown): unknown {
  if (value === "" || value === null) return value;
  if (secretName.test(name)) return masked;
  if (Array.isArray(value)) return value.map((one) => maskValue("", one));
  return typeof value === "object" ? maskSettings(value as ScriptSettings) : value;
}
