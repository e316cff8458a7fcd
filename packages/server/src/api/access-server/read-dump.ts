import { SallyportError } from "../../core/errors.ts";

/** What `sacli UserPropGet` and `sacli ConfigQuery` print, taken apart. */
export type Dump = {
  records: Map<string, Readonly<Record<string, string>>>;
  settings: Map<string, string>;
};

/** JSON with this key is refused on the way to the daemon. */
const poison = "__proto__";

const wrappers: readonly string[] = ["UserPropGet", "ConfigQuery"];

/**
 * Either of the two, both merged into one object, or `{ "UserPropGet": {…}, "ConfigQuery": {…} }`: a name with an object
 * is a record, one with a text a setting. Throws `invalid-input` that names what is neither.
 */
export function readDumps(dumps: readonly unknown[]): Dump {
  const dump: Dump = { records: new Map(), settings: new Map() };
  for (const [i, one] of dumps.entries()) {
    if (!isObject(one)) throw wrong(`file ${i + 1}`, "an object, as sacli prints it, was expected");
    const names = Object.keys(one);
    const parts = names.length > 0 && names.every((name) => wrappers.includes(name)) ? Object.values(one) : [one];
    for (const part of parts) readPart(part, dump);
  }
  if (dump.records.size === 0 && dump.settings.size === 0) throw wrong("the files", "neither records nor settings");
  return dump;
}

function readPart(part: unknown, { records, settings }: Dump): void {
  if (!isObject(part)) throw wrong("UserPropGet or ConfigQuery", "an object was expected");
  for (const [name, value] of Object.entries(part)) {
    if (name === poison) throw wrong(name, "this name cannot be taken over");
    if (typeof value === "string") {
      if (settings.has(name) && settings.get(name) !== value) throw wrong(name, "it has two different values");
      settings.set(name, value);
    } else if (isObject(value)) {
      if (records.has(name)) throw wrong(name, "there are two records of this name");
      for (const [key, text] of Object.entries(value)) {
        if (typeof text !== "string") throw wrong(`${name}: ${key}`, "a text was expected");
        if (key === poison) throw wrong(`${name}: ${key}`, "this name cannot be taken over");
      }
      records.set(name, value as Record<string, string>);
    } else throw wrong(name, "a record or a text was expected");
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrong(where: string, what: string): SallyportError {
  return new SallyportError("invalid-input", `${where}: ${what}; nothing was changed`);
}
