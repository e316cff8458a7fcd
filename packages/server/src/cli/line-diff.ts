/** One line of a comparison: in both, only in the old, only in the new. */
export type DiffLine = { mark: " " | "-" | "+"; text: string };

/** Beyond this many differing lines the old stands as gone and the new as come, whole. */
const mostEdits = 1000;

/** The shortest way from one list of lines to another (Myers 1986). */
export function diffLines(before: readonly string[], after: readonly string[]): DiffLine[] {
  const trace: Map<number, number>[] = [];
  let furthest = new Map([[1, 0]]);
  for (let edits = 0; edits <= Math.min(before.length + after.length, mostEdits); edits += 1) {
    trace.push(furthest);
    const next = new Map(furthest);
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && reach(next, k - 1) < reach(next, k + 1));
      let x = down ? reach(next, k + 1) : reach(next, k - 1) + 1;
      while (x < before.length && x - k < after.length && before[x] === after[x - k]) x += 1;
      next.set(k, x);
      if (x >= before.length && x - k >= after.length) return wayBack(trace, before, after);
    }
    furthest = next;
  }
  return [
    ...before.map((text) => ({ mark: "-" as const, text })),
    ...after.map((text) => ({ mark: "+" as const, text })),
  ];
}

function reach(furthest: ReadonlyMap<number, number>, k: number): number {
  return furthest.get(k) ?? -1;
}

function wayBack(
  trace: readonly ReadonlyMap<number, number>[],
  before: readonly string[],
  after: readonly string[],
): DiffLine[] {
  const lines: DiffLine[] = [];
  let [x, y] = [before.length, after.length];
  for (let edits = trace.length - 1; edits >= 0; edits -= 1) {
    const furthest = trace[edits] ?? new Map();
    const k = x - y;
    const down = k === -edits || (k !== edits && reach(furthest, k - 1) < reach(furthest, k + 1));
    const fromX = reach(furthest, down ? k + 1 : k - 1);
    const fromY = fromX - (down ? k + 1 : k - 1);
    while (x > Math.max(fromX, 0) && y > Math.max(fromY, 0)) {
      x -= 1;
      y -= 1;
      lines.push({ mark: " ", text: before[x] ?? "" });
    }
    if (edits === 0) break;
    if (down) {
      y -= 1;
      lines.push({ mark: "+", text: after[y] ?? "" });
    } else {
      x -= 1;
      lines.push({ mark: "-", text: before[x] ?? "" });
    }
  }
  return lines.reverse();
}

/** With a few lines of what surrounds them; a line of dots where more is left out. Nothing where nothing differs. */
export function hunks(lines: readonly DiffLine[], around = 3): string[] {
  const near = lines.map((_, i) =>
    lines.slice(Math.max(0, i - around), i + around + 1).some(({ mark }) => mark !== " "),
  );
  if (!near.includes(true)) return [];
  return lines.flatMap(({ mark, text }, i) => {
    if (near[i]) return [`${mark}${text}`];
    return i > 0 && near[i - 1] ? ["..."] : [];
  });
}
