import type { JsonObject, JsonValue } from "../json.ts";
import { describe, isPlain } from "./values.ts";

/**
 * A script's settings: its defaults, overlaid with what an administrator set. Throws what is wrong with those: a name
 * that the script does not have, or a value of another type than the default's.
 */
export function overlaySettings(defaults: JsonObject, set: unknown): JsonObject {
  if (set === undefined || set === null) return { ...defaults };
  if (!isPlain(set)) throw new Error(`the settings are ${describe(set)}; they must be an object`);
  for (const [name, value] of Object.entries(set)) {
    const standard = Object.hasOwn(defaults, name) ? defaults[name] : undefined;
    if (standard === undefined) {
      const known = Object.keys(defaults).join(", ");
      throw new Error(
        `there is no setting ${JSON.stringify(name)}; ${known === "" ? "the script has none" : `there are ${known}`}`,
      );
    }
    checkType(`the setting ${name}`, value, standard);
  }
  return { ...defaults, ...(set as JsonObject) };
}

/** What a list or an object holds by default, all else in it must be too; an empty one does not tell. */
function checkType(place: string, value: unknown, standard: JsonValue): void {
  if (standard === null) return;
  const [found, expected] = [kindOf(value), kindOf(standard)];
  if (found !== expected) throw new Error(`${place} is ${describe(value)}; it must be ${expected}, as its default is`);
  const example = Array.isArray(standard) ? standard[0] : isPlain(standard) ? Object.values(standard)[0] : undefined;
  if (example === undefined || example === null || !sameKind(standard as object)) return;
  for (const [key, one] of Object.entries(value as object)) checkType(`${place}[${key}]`, one, example);
}

const sameKind = (values: object) => new Set(Object.values(values).map(kindOf)).size === 1;

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isPlain(value)) return "an object";
  return typeof value === "boolean" ? "true or false" : `a ${typeof value}`;
}
