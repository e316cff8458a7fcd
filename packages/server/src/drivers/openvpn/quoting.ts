/*
 * OpenVPN reads management commands with the lexer of its configuration files: white space separates, quotes enclose,
 * a backslash makes the next character plain. What it does beyond its bounds was observed with 2.6.14:
 * an argument of more than 255 bytes is an error; a configuration line of more than 255 bytes is dropped, and its tail
 * may be read as another line; a command line of 1,024 bytes or more loses its head and its tail is executed.
 */

/** OpenVPN's bound for one argument, after quotes and backslashes were taken away. */
export const mostArgumentBytes = 255;

/** A longer text (refusal, challenge, URL) is lost at the client. */
export const mostClientTextBytes = 245;

/** A line of the configuration inside `client-auth` is read in pieces of this size, its end included. */
export const mostConfigLineBytes = 254;

/**
 * OpenVPN adds what it reads, up to 256 bytes at a time, to a buffer of 1,024 and looks for line ends only then: from
 * 769 bytes on, a line that shares a write with others can lose its head. Observed: 780 bytes after 252 others.
 */
export const mostCommandLineBytes = 767;

/** A text made harmless, and whether that changed it: then the caller logs the original. */
export type Quoted = { text: string; altered: boolean };

/** One line of well-formed text: control characters and line separators become spaces, lone surrogates U+FFFD. */
export function onOneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go.
  return text.toWellFormed().replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " ");
}

/**
 * Text for people as one argument in double quotes: cleaned, and cut at a character's border so that it keeps both
 * bounds: `mostBytes` as OpenVPN will see it, `mostQuotedBytes` on the wire, where quotes and backslashes count twice.
 */
export function quoteText(text: string, bounds: { mostBytes: number; mostQuotedBytes: number }): Quoted {
  const clean = onOneLine(text);
  const mostBytes = Math.min(bounds.mostBytes, mostArgumentBytes);
  let quoted = '"';
  let bytes = 0;
  let quotedBytes = 2;
  let whole = true;
  for (const character of clean) {
    const size = Buffer.byteLength(character);
    const escaped = character === '"' || character === "\\";
    const quotedSize = escaped ? size + 1 : size;
    if (bytes + size > mostBytes || quotedBytes + quotedSize > bounds.mostQuotedBytes) {
      whole = false;
      break;
    }
    bytes += size;
    quotedBytes += quotedSize;
    quoted += escaped ? `\\${character}` : character;
  }
  return { text: `${quoted}"`, altered: !whole || clean !== text };
}

/**
 * A word that must arrive whole or not at all (a name, an option): quoted where it needs to be.
 * @throws RangeError where it cannot be passed unchanged.
 */
export function quoteWord(word: string): string {
  const quoted = quoteText(word, { mostBytes: mostArgumentBytes, mostQuotedBytes: mostCommandLineBytes });
  if (quoted.altered) throw new RangeError(`${JSON.stringify(word)} cannot be passed to OpenVPN unchanged`);
  return /^[\w./:=+@%-]+$/.test(word) ? word : quoted.text;
}
