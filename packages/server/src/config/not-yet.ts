import { addFault, type Reading, valueAt } from "./reading.ts";

/** A part of the configuration that is understood but not driven by this version. */
export type NotYet = {
  /** `[]` stands for every item of a list. */
  key: string;
  what: string;
  /** Which values are refused; without it, any. */
  when?: (value: unknown) => boolean;
};

/** Refused at load, each with a plain fault. Whoever builds one of them deletes its line. */
export const notYet: readonly NotYet[] = [{ key: "database", what: "PostgreSQL", when: (value) => value !== "sqlite" }];

export function refuseNotYet(reading: Reading, table: readonly NotYet[]): void {
  for (const { key, what, when } of table) {
    for (const path of matches(reading.tree.value, key.split(/\.|(?=\[\])/))) {
      const value = valueAt(reading.tree.value, path);
      if (when && !when(value)) continue;
      addFault(reading, {
        path,
        part: "key",
        expected: "nothing here yet",
        found: `${what}: not available in this version`,
      });
    }
  }
}

/** The paths that are really there for a pattern such as `["hooks", "[]", "webhook"]`. */
function matches(value: unknown, pattern: readonly string[]): (string | number)[][] {
  const [head, ...rest] = pattern;
  if (head === undefined) return [[]];
  if (typeof value !== "object" || value === null) return [];
  const items: [string | number, unknown][] =
    head === "[]"
      ? Array.isArray(value)
        ? [...value.entries()]
        : []
      : Object.hasOwn(value, head)
        ? [[head, (value as Record<string, unknown>)[head]]]
        : [];
  return items.flatMap(([key, item]) => matches(item, rest).map((path) => [key, ...path]));
}
