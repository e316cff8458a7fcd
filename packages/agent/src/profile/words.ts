/** One line's words, as OpenVPN's lexer reads them: quotes, backslashes, and comments that begin with `#` or `;`. */
export function readWords(line: string): string[] | { fault: string } {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let i = 0; i < line.length; i++) {
    const character = line[i] as string;
    if (character === "\\" && quote !== "'") {
      i += 1;
      if (i === line.length) return { fault: "it ends in a backslash" };
      word = (word ?? "") + line[i];
    } else if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else word = (word ?? "") + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= "";
    } else if (character === " " || character === "\t") {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (word === undefined && (character === "#" || character === ";")) break;
    else word = (word ?? "") + character;
  }
  if (quote !== undefined) return { fault: `a ${quote} is not closed` };
  if (word !== undefined) words.push(word);
  return words;
}

/**
 * A word as OpenVPN reads it back unchanged, in a file or on its management interface.
 * @throws RangeError where it holds what cannot be written there.
 */
export function quoteWord(word: string): string {
  if (/[\r\n\0]/.test(word)) throw new RangeError("a line end cannot be passed to OpenVPN");
  return /^[\w./:=+@%,!-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, "\\$&")}"`;
}
