/*
 * What the benches share: medians, and lines that say a figure beside what is expected of it. Absolute times belong to
 * the machine and the moment; ratios of measurements made in turns, in one run, are what is compared.
 */

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? quantile(sorted, 0.5)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** Three digits that count. */
export function shown(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Prints a ratio, and whether it is as expected: `atLeast` or `atMost`. Without either it is only told. */
export function ratio(what: string, value: number, expected: { atLeast?: number; atMost?: number } = {}): void {
  const { atLeast, atMost } = expected;
  const met = (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost);
  const bound =
    atLeast !== undefined
      ? `, expected at least ${atLeast}`
      : atMost !== undefined
        ? `, expected at most ${atMost}`
        : "";
  const verdict = bound === "" ? "" : met ? ": as expected" : ": MISSED";
  console.log(`${what}: ${shown(value)}${bound}${verdict}`);
}

/** `--name 5` of the command line, or what is usual. */
export function numberOption(name: string, usual: number): number {
  const at = process.argv.indexOf(`--${name}`);
  if (at < 0) return usual;
  const value = Number(process.argv[at + 1]);
  if (!(value > 0)) throw new Error(`--${name} is a number above 0`);
  return value;
}

/** Runs each of the contestants once a round, in turns, so that a busy moment of the machine strikes all alike. */
export async function inTurns<Name extends string>(
  rounds: number,
  contestants: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contestants) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? names : names.toReversed();
    for (const name of order) results[name].push(await contestants[name]());
  }
  return results;
}
