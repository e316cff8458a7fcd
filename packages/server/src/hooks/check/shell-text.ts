/**
 * A shell script with everything blanked out that is not code: comments, quoted text, here-documents. Line and column
 * of what is left are as they were, so that what is found in it can be pointed at. Expansions inside double quotes
 * stay. Made for pointing at likely mistakes, not for running anything.
 */
export function codeOf(script: string): string {
  const scanner = new Scanner(script);
  return scanner.scan();
}

type Frame = { kind: "code" | "double" | "expansion" | "arithmetic"; depth: number };

class Scanner {
  readonly #text: string;
  readonly #out: string[] = [];
  readonly #frames: Frame[] = [{ kind: "code", depth: 0 }];
  readonly #hereDocuments: { delimiter: string; tabs: boolean }[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): string {
    while (this.#at < this.#text.length) {
      const { kind } = this.#frame();
      if (kind === "double") this.#inDoubleQuotes();
      else this.#inCode(kind);
    }
    return this.#out.join("");
  }

  #frame(): Frame {
    return this.#frames.at(-1) ?? { kind: "code", depth: 0 };
  }

  #keep(length = 1): void {
    this.#out.push(this.#text.slice(this.#at, this.#at + length));
    this.#at += length;
  }

  #blank(length = 1): void {
    const blanked = this.#text.slice(this.#at, this.#at + length);
    this.#out.push(blanked.replaceAll(/[^\n]/g, " "));
    this.#at += length;
  }

  #startsWith(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #inDoubleQuotes(): void {
    const character = this.#text[this.#at];
    if (character === "\\") this.#blank(2);
    else if (character === "$") this.#expansion();
    else if (character === '"') {
      this.#frames.pop();
      this.#keep();
    } else this.#blank();
  }

  #expansion(): void {
    const opened = /^\$(?:\(\(|\(|\{)/.exec(this.#text.slice(this.#at, this.#at + 3))?.[0];
    if (opened !== undefined) {
      const kind = opened === "${" ? "expansion" : opened === "$(" ? "code" : "arithmetic";
      this.#frames.push({ kind, depth: kind === "arithmetic" ? 1 : 0 });
      this.#keep(opened.length);
    } else this.#keep(1 + (/^(?:\w+|[@*#?$!-])/.exec(this.#text.slice(this.#at + 1, this.#at + 100))?.[0].length ?? 0));
  }

  #inCode(kind: Frame["kind"]): void {
    const character = this.#text[this.#at] ?? "";
    if (character === "\\") this.#blank(2);
    else if (this.#startsWith("$'")) this.#ansiQuotes();
    else if (character === "$") this.#expansion();
    else if (character === "'") this.#singleQuotes();
    else if (character === "#" && kind === "code" && this.#atWordStart()) this.#comment();
    else if (this.#startsWith("<<") && kind === "code") this.#hereDocument();
    else if (character === "\n") this.#newLine();
    else {
      if (character === '"') this.#frames.push({ kind: "double", depth: 0 });
      else this.#nest(character, kind);
      this.#keep();
    }
  }

  /** Leaves `$( … )`, `$(( … ))` and `${ … }` at their own closing character. */
  #nest(character: string, kind: Frame["kind"]): void {
    const [open, close] = kind === "expansion" ? ["{", "}"] : ["(", ")"];
    const frame = this.#frame();
    if (character === open) frame.depth += 1;
    else if (character === close && frame.depth > 0) frame.depth -= 1;
    else if (character === close && this.#frames.length > 1) this.#frames.pop();
  }

  #atWordStart(): boolean {
    return this.#at === 0 || /[\s;&|()]/.test(this.#text[this.#at - 1] ?? "");
  }

  #comment(): void {
    const end = this.#text.indexOf("\n", this.#at);
    this.#blank((end < 0 ? this.#text.length : end) - this.#at);
  }

  #singleQuotes(): void {
    const end = this.#text.indexOf("'", this.#at + 1);
    this.#keep();
    this.#blank((end < 0 ? this.#text.length : end) - this.#at);
    if (end >= 0) this.#keep();
  }

  #ansiQuotes(): void {
    const quoted = /^\$'(?:[^'\\]|\\[\s\S])*/.exec(this.#text.slice(this.#at))?.[0].length ?? 2;
    this.#keep(2);
    this.#blank(quoted - 2);
    if (this.#startsWith("'")) this.#keep();
  }

  #hereDocument(): void {
    const rest = this.#text.slice(this.#at, this.#at + 300);
    const found = /^<<(-?)[ \t]*(?:'([^'\n]+)'|"([^"\n]+)"|\\?([\w.-]+))/.exec(rest);
    if (rest.startsWith("<<<") || found === null) this.#keep(rest.startsWith("<<<") ? 3 : 2);
    else {
      this.#hereDocuments.push({ delimiter: found[2] ?? found[3] ?? found[4] ?? "", tabs: found[1] === "-" });
      this.#keep(found[0].length);
    }
  }

  #newLine(): void {
    this.#keep();
    for (let next = this.#hereDocuments.shift(); next !== undefined; next = this.#hereDocuments.shift()) {
      while (this.#at < this.#text.length) {
        const end = this.#text.indexOf("\n", this.#at);
        const length = (end < 0 ? this.#text.length : end + 1) - this.#at;
        const line = this.#text.slice(this.#at, this.#at + length).replace(/\n$/, "");
        this.#blank(length);
        if ((next.tabs ? line.replace(/^\t+/, "") : line) === next.delimiter) break;
      }
    }
  }
}
