export type Script = {
  text: string;
  /** What its file is to be called, without an extension. Anything: it is made harmless. */
  fileBase: string;
};

export type ScriptFile = {
  /** With the extension; no directory. */
  name: string;
  /** Without a dot; may be empty. */
  extension: string;
  /** To be written as UTF-8. */
  contents: string;
};

/** How a script is started. `program` and what `file` becomes in the machine's directory are absolute paths. */
export type ScriptStart = {
  kind: "start";
  program: string;
  /** What follows the program's name. On Windows see `spawnOf`: there only `commandLine` is exact. */
  args: readonly string[];
  /** Windows: the very line for CreateProcess, the program's name first. */
  commandLine?: string;
  /** The script itself, to be written into the machine's directory, executable and for its account alone. */
  file: ScriptFile;
  /** Files beside it that the start needs, written in the same way. */
  moreFiles: readonly ScriptFile[];
  /** To be written, executable, to a directory of their own, which goes to the end of the script's PATH. */
  privatePrograms: readonly { name: string; contents: string }[];
  /** Set where a Python with our layer runs it. */
  python?: "builtin" | "system";
};

export type Interpretation = ScriptStart | { kind: "refused"; reason: string };

export function refused(reason: string): Interpretation {
  return { kind: "refused", reason };
}

/**
 * Letters, digits, `_`, `-` and `.`, no more than 64: nothing in it means anything to a shell, to cmd.exe or to a path, and
 * it is none of the names that are devices on Windows.
 */
export function harmlessName(name: string): string {
  const plain = name
    .replace(/[^A-Za-z0-9._-]+/g, "_")
    .replace(/^[.-]+|[.]+$/g, "")
    .slice(0, 64);
  const isDevice = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(plain);
  return plain === "" || isDevice ? `script-${plain}` : plain;
}

/** The file's name with its extension, once. */
export function nameWith(base: string, extension: string): string {
  return base.toLowerCase().endsWith(`.${extension}`) ? base : `${base}.${extension}`;
}
