/** What Python's `repr()` accepts as it is: everything but control, format, unassigned and separator characters. */
const unprintable = /[\p{C}\p{Z}]/u;

const shortEscapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A string as Python's `repr()` writes it: single quotes unless only double ones save an escape. */
export function pythonString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let body = "";
  for (const character of text) body += character === quote ? `\\${quote}` : pythonCharacter(character);
  return quote + body + quote;
}

/** A dict of strings as Python's `repr()` writes it, in the order of its keys. */
export function pythonDict(values: Readonly<Record<string, string>>): string {
  const items = Object.entries(values).map(([key, value]) => `${pythonString(key)}: ${pythonString(value)}`);
  return `{${items.join(", ")}}`;
}

function pythonCharacter(character: string): string {
  const short = shortEscapes[character];
  if (short !== undefined) return short;
  if (character === " " || !unprintable.test(character)) return character;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code <= 0xff) return `\\x${hex.padStart(2, "0")}`;
  if (code <= 0xffff) return `\\u${hex.padStart(4, "0")}`;
  return `\\U${hex.padStart(8, "0")}`;
}
