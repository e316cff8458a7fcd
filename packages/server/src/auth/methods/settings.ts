import { Secret } from "../../core/secret.ts";

/** Access-Server-named settings as they are kept: every key and value a text. */
export type Settings = Readonly<Record<string, string>>;

/** One setting that cannot be used. `found` never shows a secret. */
export type SettingFault = { key: string; expected: string; found: string };

/**
 * What one method's settings say. No options and no faults: nobody has set the method up. Faults: it cannot be used
 * until they are mended. Warnings: settings that have no effect here, a sentence each.
 */
export type SettingsReading<O> = { options: O | undefined; faults: SettingFault[]; warnings: string[] };

export function settingFaultText({ key, expected, found }: SettingFault): string {
  return `${key}: expected ${expected}, found ${found}`;
}

/** Reads the settings under one prefix, collecting faults and noticing which keys nobody read. */
export type SettingsReader = {
  text(key: string): string | undefined;
  secret(key: string): Secret | undefined;
  integer(key: string, bounds: { least: number; most: number }, otherwise: number): number;
  flag(key: string, otherwise: boolean): boolean;
  choice<C extends string>(key: string, choices: Readonly<Record<string, C>>, otherwise: C): C;
  /** The numbers N of keys `prefix.N.…`, in order. */
  numbers(prefix: string): number[];
  /** Keys whose values mean nothing here but are no mistake either. */
  ignore(...keys: string[]): void;
  fault(key: string, expected: string): void;
  /** Ends the reading: keys that were never read become warnings. */
  done<O>(options: O | undefined): SettingsReading<O>;
};

/** `prefix` with its last dot, as in `auth.ldap.0.`; the reader's keys are relative to it. */
export function createSettingsReader(settings: Settings, prefix: string): SettingsReader {
  const read = new Set<string>();
  const secrets = new Set<string>();
  const faults: SettingFault[] = [];

  const text = (key: string) => {
    read.add(key);
    const value = settings[prefix + key]?.trim();
    return value === "" ? undefined : value;
  };
  const fault = (key: string, expected: string) => {
    const value = settings[prefix + key];
    const found = value === undefined || value.trim() === "" ? "nothing" : secrets.has(key) ? "[secret]" : shown(value);
    faults.push({ key: prefix + key, expected, found });
  };

  return {
    text,
    fault,
    secret(key) {
      read.add(key);
      secrets.add(key);
      const value = settings[prefix + key];
      return value === undefined || value === "" ? undefined : new Secret(value);
    },
    integer(key, { least, most }, otherwise) {
      const value = text(key);
      if (value === undefined) return otherwise;
      const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
      if (number >= least && number <= most) return number;
      fault(key, `a whole number from ${least} to ${most}`);
      return otherwise;
    },
    flag(key, otherwise) {
      const value = text(key)?.toLowerCase();
      if (value === undefined) return otherwise;
      if (["true", "1", "yes"].includes(value)) return true;
      if (["false", "0", "no"].includes(value)) return false;
      fault(key, "true or false");
      return otherwise;
    },
    choice(key, choices, otherwise) {
      const value = text(key)?.toLowerCase();
      if (value === undefined) return otherwise;
      const chosen = Object.hasOwn(choices, value) ? choices[value] : undefined;
      if (chosen !== undefined) return chosen;
      fault(key, `one of ${Object.keys(choices).join(", ")}`);
      return otherwise;
    },
    numbers(within) {
      const start = `${prefix}${within}.`;
      const found = Object.keys(settings)
        .filter((key) => key.startsWith(start))
        .map((key) => /^\d{1,6}(?=\.)/.exec(key.slice(start.length))?.[0])
        .filter((number) => number !== undefined);
      return [...new Set(found.map(Number))].sort((a, b) => a - b);
    },
    ignore(...keys) {
      for (const key of keys) read.add(key);
    },
    done(options) {
      const unread = Object.keys(settings).filter(
        (key) => key.startsWith(prefix) && !read.has(key.slice(prefix.length)),
      );
      const warnings = unread.sort().map((key) => `${key} is not a setting that is known here; it has no effect`);
      return { options: faults.length === 0 ? options : undefined, faults, warnings };
    },
  };
}

function shown(value: string): string {
  return JSON.stringify((value.length > 60 ? `${value.slice(0, 59)}…` : value).toWellFormed());
}

/** A server's `host` setting: a name or address, with an optional port (`ldap.example.org:3389`, `[2001:db8::1]:636`). */
export function readHost(text: string): { host: string; port: number | undefined } | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?$/i.exec(text);
  if (match === null) {
    return /^[0-9a-f:.]+$/i.test(text) && text.split(":").length > 2 ? { host: text, port: undefined } : undefined;
  }
  const port = match[3] === undefined ? undefined : Number(match[3]);
  if (port !== undefined && (port < 1 || port > 65535)) return undefined;
  return { host: match[1] ?? match[2] ?? "", port };
}
