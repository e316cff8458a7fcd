/** What the first line of a script asks for. */
export type Shebang =
  | { kind: "none" }
  | { kind: "python" }
  /** `#EXT foo` */
  | { kind: "extension"; extension: string }
  /** `#!…`: the program as written, and the text of its options. `throughEnv` where env was to look for it. */
  | { kind: "program"; program: string; options: string; throughEnv: boolean }
  | { kind: "unreadable"; reason: string };

/** A script's text without a byte order mark, its first line without the line end and spaces around it. */
export function firstLine(text: string): string {
  return (/^[^\r\n]*/.exec(withoutMark(text))?.[0] ?? "").trim();
}

export function withoutMark(text: string): string {
  return text.startsWith("\uFEFF") ? text.slice(1) : text;
}

export function readShebang(text: string): Shebang {
  const line = firstLine(text);
  if (/^#PYTHON$/i.test(line)) return { kind: "python" };
  const [, extension] = /^#EXT(?:\s+(.*))?$/i.exec(line) ?? [];
  if (/^#EXT(\s|$)/i.test(line)) return readExtension(extension ?? "");
  if (!line.startsWith("#!")) return { kind: "none" };
  const asked = line.slice(2).trim();
  const [, env] = /^\/usr\/bin\/env\s+(?:-S\s+)?(.*)$/.exec(asked) ?? [];
  return readProgram(env ?? asked, env !== undefined);
}

/** Letters and digits alone, so that the name of the file that is written ends as it says and lies where it should. */
function readExtension(written: string): Shebang {
  const extension = written.replace(/^\./, "");
  if (/^[A-Za-z0-9]{1,16}$/.test(extension)) return { kind: "extension", extension };
  return {
    kind: "unreadable",
    reason: `#EXT ${JSON.stringify(written)} is no file extension; write for example "#EXT vbs"`,
  };
}

function readProgram(asked: string, throughEnv: boolean): Shebang {
  const [, quotedProgram, plainProgram, options = ""] = /^(?:"([^"]*)"|([^"\s]\S*))(?:\s+(.*))?$/.exec(asked) ?? [];
  const program = quotedProgram ?? plainProgram ?? "";
  if (program === "") {
    return { kind: "unreadable", reason: `the first line names no program: #!${asked}; quotes go around a whole path` };
  }
  return { kind: "program", program, options, throughEnv };
}
