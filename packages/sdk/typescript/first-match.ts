/**
 * What a table says of the first of its names that is among these, without regard to case: how groups elsewhere become
 * groups here. The table's order decides.
 */
export function firstMatch<Value>(
  table: { readonly [name: string]: Value },
  names: readonly string[],
): Value | undefined {
  const present = new Set(names.map((name) => name.toLowerCase()));
  return Object.entries(table).find(([name]) => present.has(name.toLowerCase()))?.[1];
}
