/** The version that a text names: `net.openvpn.connect.ios 3.2.2-4507` → `3.2.2`, `OpenVPN_GUI_11` → `11`. */
export function versionIn(text: string): string | undefined {
  return /\d+(?:\.\d+)+/.exec(text)?.[0] ?? text.match(/\d+/g)?.at(-1);
}

/** Negative where `a` is older than `b`, positive where it is newer, 0 where they are equal: 3.10 is newer than 3.9. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const conditions = {
  ">=": (order: number) => order >= 0,
  ">": (order: number) => order > 0,
  "<=": (order: number) => order <= 0,
  "<": (order: number) => order < 0,
  "=": (order: number) => order === 0,
} as const;

/** Whether a version is within a range: `>=2.6`, `>=2.5 <3`, `=1.4.2`. Throws where the range is none. */
export function versionIsIn(version: string, range: string): boolean {
  return range
    .trim()
    .split(/\s+/)
    .map((part) => {
      const [, condition, wanted = ""] = /^(>=|<=|>|<|=)(\d+(?:\.\d+)*)$/.exec(part) ?? [];
      if (condition === undefined) throw new Error(`${JSON.stringify(range)} is no range of versions, like ">=2.6 <3"`);
      return conditions[condition as keyof typeof conditions](compareVersions(version, wanted));
    })
    .every(Boolean);
}

function numbersOf(version: string): number[] {
  if (!/^\d+(\.\d+)*$/.test(version)) throw new Error(`${JSON.stringify(version)} is no version, like "3.4.1"`);
  return version.split(".").map(Number);
}
