import { SallyportError } from "../core/errors.ts";

/** One thing wrong with the configuration file. Line and column count from 1; null where the file as a whole is meant. */
export type ConfigFault = {
  /** Dotted path of the key, empty for the file as a whole. */
  key: string;
  line: number | null;
  column: number | null;
  expected: string;
  found: string;
};

/** Keys and list positions from the top, as in `["hooks", 0, "name"]`. */
export type Path = readonly (string | number)[];

export type Place = { line: number; column: number };

const plainKey = /^[A-Za-z0-9_-]{1,64}$/;

/** `hooks[0].name`. A key that is no plain word is quoted and cut short, so that a fault stays on its line. */
export function keyOf(path: Path): string {
  return path
    .map((part, i) => {
      if (typeof part === "number") return `[${part}]`;
      return `${i === 0 ? "" : "."}${plainKey.test(part) ? part : quote(part)}`;
    })
    .join("");
}

/** Text in quotes on one line, at most 60 characters of it. */
export function quote(text: string): string {
  const shown = text.length > 60 ? `${text.slice(0, 59)}…` : text;
  return JSON.stringify(shown.toWellFormed()).replace(/[\u007f-\u009f\u2028\u2029]/g, "\ufffd");
}

export function describeValue(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "an empty value";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return Object.keys(value).length === 0 ? "an empty mapping" : "a mapping";
  return typeof value === "string" ? quote(value) : String(value);
}

export function faultText(fault: ConfigFault): string {
  const place = fault.line === null ? "" : `line ${fault.line}, column ${fault.column}: `;
  const key = fault.key === "" ? "" : `${fault.key}: `;
  return `${place}${key}expected ${fault.expected}, found ${fault.found}`;
}

const mostShown = 100;

export function configInvalid(file: string, faults: readonly ConfigFault[]): SallyportError {
  const count = faults.length === 1 ? "a fault" : `${faults.length} faults`;
  const lines = faults.slice(0, mostShown).map((fault) => `  ${faultText(fault)}`);
  if (faults.length > mostShown) lines.push(`  and ${faults.length - mostShown} more`);
  return new SallyportError("config-invalid", [`${file} has ${count}; none of it was applied:`, ...lines].join("\n"));
}

/** The known word that was probably meant, or undefined where none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[-_ ]/g, "");
  if (word.length > 64) return undefined;
  let best: { word: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(plain(word), plain(candidate));
    if (distance <= Math.max(1, Math.floor(candidate.length / 3)) && distance < (best?.distance ?? Infinity))
      best = { word: candidate, distance };
  }
  return best?.word;
}

/** Levenshtein's distance. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
