/** Characters that move the cursor, colour the screen or reorder text: a name may hold them, a terminal must not obey. */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const shortEscapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Text that may hold anything, made fit for one line of a terminal. */
export function visible(text: string): string {
  return text.replace(unsafe, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    return shortEscapes[character] ?? (hex.length <= 2 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`);
  });
}

/** The same for text of several lines: line ends and tabs stay. */
export function visibleLines(text: string): string {
  return text
    .split("\n")
    .map((line) => line.replace(/\r$/, "").split("\t").map(visible).join("\t"))
    .join("\n");
}

/** Aligned columns under their headings; cells are made safe here. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [headings, ...rows].map((row) => row.map(visible));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => width(row[column] ?? ""))));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - width(cell)))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

/** One thing as `label  value` lines; values that are null are left out. */
export function details(pairs: readonly (readonly [label: string, value: string | null])[]): string {
  const present = pairs.filter((pair): pair is readonly [string, string] => pair[1] !== null);
  const longest = Math.max(0, ...present.map(([label]) => width(label)));
  return present.map(([label, value]) => `${label.padEnd(longest)}  ${visible(value)}\n`).join("");
}

function width(text: string): number {
  return [...text].length;
}

/** A moment in the reader's own time zone; `-` where there is none. */
export function localTime(iso: string | null): string {
  if (iso === null) return "-";
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return iso;
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

const byteUnits = ["B", "kB", "MB", "GB", "TB", "PB"] as const;

export function readableBytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < byteUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? value.toFixed(0) : value.toFixed(1);
  return `${digits} ${byteUnits[unit]}`;
}

export function readableDuration(seconds: number): string {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `24h`, `30m`, `7d`, `90s`, or an ISO 8601 time, as an ISO time; undefined where it is neither. */
export function timeAgo(text: string, now: number = Date.now()): string | undefined {
  const span = /^(\d{1,9})([smhd])$/.exec(text);
  const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  const at = span ? now - Number(span[1]) * unitMs[span[2] as keyof typeof unitMs] : Date.parse(text);
  if (!span && !/^\d{4}-\d{2}-\d{2}/.test(text)) return undefined;
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : undefined;
}
