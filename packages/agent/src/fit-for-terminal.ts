/** Characters that move the cursor, colour the screen or reorder text: what a server says must not do that. */
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text of anybody's, fit for one line of a terminal. */
export function onOneLine(text: string): string {
  return text.replace(unsafe, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16);
    return hex.length <= 2 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`;
  });
}

/** The same for text of several lines: line ends and tabs stay. */
export function onLines(text: string): string {
  return text
    .split("\n")
    .map((line) => line.replace(/\r$/, "").split("\t").map(onOneLine).join("\t"))
    .join("\n");
}

/** One entry of a log: what it goes on with is indented, so that nothing in it can be taken for another entry. */
export function asEntry(text: string): string {
  return onLines(text.trimEnd()).replaceAll("\n", "\n  ");
}
