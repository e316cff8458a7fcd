import type { z } from "zod";
import { type ConfigFault, describeValue, keyOf, nearest, type Path, quote } from "./faults.ts";
import type { YamlTree } from "./yaml-tree.ts";

/** One pass over a configuration file: what it says and what was found wrong with it so far. */
export type Reading = {
  tree: YamlTree;
  /** The file's own directory: relative paths begin there. */
  directory: string;
  faults: ConfigFault[];
  warnings: string[];
};

/** Adds a fault, unless the key has one already: one slip shall not be told twice. */
export function addFault(
  reading: Reading,
  at: { path: Path; part?: "key" | "value"; expected: string; found: string },
): void {
  const key = keyOf(at.path);
  if (reading.faults.some((fault) => fault.key === key)) return;
  const place = reading.tree.placeOf(at.path, at.part ?? "value");
  reading.faults.push({ key, ...place, expected: at.expected, found: at.found });
}

export function addWarning(reading: Reading, path: Path, message: string): void {
  reading.warnings.push(`line ${reading.tree.placeOf(path, "key").line}: ${keyOf(path)}: ${message}`);
}

/** Puts the value at `path` through its schema. Undefined where it does not fit; then the faults say why. */
export function take<T extends z.ZodType>(
  reading: Reading,
  schema: T,
  value: unknown,
  path: Path,
): z.output<T> | undefined {
  let result = schema.safeParse(value);
  if (!result.success && readBareVariables(reading, result.error.issues, value, path)) result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const at = [...path, ...(issue.path as (string | number)[])];
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) addUnknownKey(reading, [...at, key], issue.message.split(" "));
    } else {
      addFault(reading, { path: at, expected: issue.message, found: foundAt(reading, at) });
    }
  }
  return undefined;
}

export function addUnknownKey(reading: Reading, path: Path, known: readonly string[]): void {
  const key = String(path.at(-1));
  const meant = nearest(key, known);
  const expected = meant ? `a known key (did you mean ${meant}?)` : `a known key (${known.join(", ")})`;
  addFault(reading, { path, part: "key", expected, found: `the unknown key ${quote(key)}` });
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((inner, part) => (inner as Record<string | number, unknown> | null)?.[part], value);
}

const secretKeys = /(^|\.)(secret|password)$|^database(\.|$)/;

function foundAt(reading: Reading, path: Path): string {
  const value = valueAt(reading.tree.value, path);
  const written = reading.tree.writtenAt(path);
  if (written !== undefined) return `${quote(written.text)} with a value that is none`;
  if (typeof value === "string" && secretKeys.test(keyOf(path))) return value === "" ? '""' : "[secret]";
  return describeValue(value);
}

/** `port: ${PORT}` without quotes is the number, or the true or false, that the variable holds. */
function readBareVariables(reading: Reading, issues: readonly z.core.$ZodIssue[], value: unknown, path: Path): boolean {
  let changed = false;
  for (const issue of issues) {
    const inside = issue.path as (string | number)[];
    const last = inside.at(-1);
    if (issue.code !== "invalid_type" || last === undefined || !reading.tree.writtenAt([...path, ...inside])?.bare)
      continue;
    const text = valueAt(value, inside);
    if (typeof text !== "string" || !/^(-?(0|[1-9]\d{0,14})|true|false)$/.test(text)) continue;
    (valueAt(value, inside.slice(0, -1)) as Record<string | number, unknown>)[last] = JSON.parse(text);
    changed = true;
  }
  return changed;
}
