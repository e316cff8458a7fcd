/** cmd.exe takes no longer line than this. */
export const longestCmdLine = 8191;
/** CreateProcess takes no longer line than this, its closing NUL included. */
export const longestCommandLine = 32_766;

/**
 * One argument as the C runtime and CommandLineToArgvW read it back: backslashes mean themselves, except before a quote,
 * where each is doubled. Quoted only where needed.
 */
export function quoteArgument(argument: string): string {
  return argument !== "" && !/[\s"]/.test(argument) ? argument : quoted(argument);
}

export function quoted(argument: string): string {
  return `"${argument.replace(/(\\*)"/g, '$1$1\\"').replace(/(\\+)$/, "$1$1")}"`;
}

/** The first word of a command line. It knows no backslash escapes: the path ends at the next quote. */
export function quoteProgram(path: string): string {
  return `"${path}"`;
}

/**
 * The words of a line by the rules of CommandLineToArgvW for what follows the program's name: 2n backslashes and a quote
 * are n backslashes and a border, 2n+1 are n and a quote, and a quote doubled inside of quotes is one.
 */
export function splitCommandLine(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let inQuotes = false;
  for (let i = 0; i < line.length; i++) {
    const backslashes = /^\\*/.exec(line.slice(i))?.[0].length ?? 0;
    if (backslashes > 0) {
      const beforeQuote = line[i + backslashes] === '"';
      word = (word ?? "") + "\\".repeat(beforeQuote ? Math.floor(backslashes / 2) : backslashes);
      i += backslashes - 1;
      if (beforeQuote && backslashes % 2 === 1) {
        word += '"';
        i += 1;
      }
    } else if (line[i] === '"') {
      word ??= "";
      if (inQuotes && line[i + 1] === '"') {
        word += '"';
        i += 1;
      } else inQuotes = !inQuotes;
    } else if (!inQuotes && /[ \t]/.test(line[i] ?? "")) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + line[i];
  }
  return word === undefined ? words : [...words, word];
}

/**
 * Why a word cannot be handed to cmd.exe as it is, or undefined. Inside of quotes `&|<>^()` mean themselves; `%NAME%` is
 * replaced even there and nothing on a command line can prevent that, and a quote ends the quotes.
 */
export function notForCmd(word: string): string | undefined {
  if (/%[^%]+%/.test(word)) return "cmd.exe would replace what stands between its percent signs";
  if (word.includes('"')) return "cmd.exe would end its quotes at the quote in it";
  if (/[\0\r\n]/.test(word)) return "it holds a line end or a NUL";
  return undefined;
}

/** A word that has passed `notForCmd`, quoted where cmd.exe would read anything else into it. */
export function cmdWord(word: string): string {
  return /^[\w.:/\\+-]+$/.test(word) ? word : `"${word}"`;
}

/**
 * `cmd.exe /d … /s /c "…"`: no AutoRun of the registry's, delayed expansion off so that `!` means itself, and exactly the
 * outer quotes are taken away, whatever stands between them.
 */
export function cmdLine(cmd: string, options: readonly string[], words: readonly string[]): string {
  return [quoteProgram(cmd), "/d", "/v:off", ...options, "/s", "/c", `"${words.join(" ")}"`].join(" ");
}
