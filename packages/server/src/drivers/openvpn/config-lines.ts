/** One option of an OpenVPN configuration file, with the line it stands on. */
export type ConfigOption = { line: number; name: string; words: readonly string[] };

/**
 * Reads a configuration as OpenVPN does: one option a line, `#` and `;` begin comments, quotes and backslashes hold words
 * together, and what stands between `<ca>` and `</ca>` is a file's content.
 */
export function readConfigOptions(text: string): ConfigOption[] {
  const options: ConfigOption[] = [];
  let inline: string | undefined;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (inline !== undefined) {
      if (line === `</${inline}>`) inline = undefined;
      continue;
    }
    const opening = /^<([a-z0-9-]+)>$/.exec(line)?.[1];
    if (opening !== undefined) {
      inline = opening;
      options.push({ line: index + 1, name: opening, words: ["[inline]"] });
      continue;
    }
    const [name, ...words] = wordsOf(line);
    if (name !== undefined) options.push({ line: index + 1, name: name.replace(/^--/, ""), words });
  }
  return options;
}

function wordsOf(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at] ?? "";
    if (quote !== "") {
      if (character === quote) quote = "";
      else if (character === "\\" && quote === '"') word += line[++at] ?? "";
      else word += character;
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (word === undefined && (character === "#" || character === ";")) break;
    else if (character === '"' || character === "'") {
      quote = character;
      word ??= "";
    } else word = (word ?? "") + (character === "\\" ? (line[++at] ?? "") : character);
  }
  if (word !== undefined) words.push(word);
  return words;
}
