import { findProgram, type ScriptMachine } from "./machine.ts";
import { startPython, systemPython } from "./python-start.ts";
import { type Interpretation, refused, type Script, type ScriptStart } from "./script-start.ts";
import { firstLine, readShebang, type Shebang, withoutMark } from "./shebang.ts";

/** A script without a first line that names a program: what a shell would run it with (POSIX, on ENOEXEC). */
const shell = "/bin/sh";

/** Bytes of a first line that the kernel reads: binfmt_script's 256 and XNU's 512, the closing byte included. */
const longestShebang = { linux: 255, mac: 511 };

/** The system reads the first line, once the file is one that its kernel understands. */
export function interpretOnUnix(script: Script, machine: ScriptMachine): Interpretation {
  const shebang = readShebang(script.text);
  const wantsPython = shebang.kind === "program" && shebang.throughEnv && /^python[23]?$/.test(shebang.program);
  if (shebang.kind === "python") return startPython(script, machine);
  if (wantsPython && systemPython(machine) === undefined && machine.python !== "system") {
    return startPython(script, { ...machine, python: "builtin" });
  }
  if (asksForStandIn(shebang, machine)) return startPython(script, machine);
  if (shebang.kind === "extension") {
    return refused(`#EXT ${shebang.extension} is for Windows; here a first line like "#!/bin/sh" names the program`);
  }
  if (shebang.kind === "unreadable") return refused(shebang.reason);
  const limit = longestShebang[machine.platform === "mac" ? "mac" : "linux"];
  if (shebang.kind === "program" && Buffer.byteLength(firstLine(script.text)) > limit) {
    return refused(`the first line is longer than the ${limit} bytes that the system reads`);
  }
  const file = { name: script.fileBase, extension: "", contents: unixText(script.text) };
  const path = `${machine.directory}/${file.name}`;
  const common = { file, moreFiles: [], privatePrograms: privatePython(machine) };
  const start: ScriptStart =
    shebang.kind === "none"
      ? { kind: "start", program: shell, args: [path], ...common }
      : { kind: "start", program: path, args: [], ...common };
  return start;
}

/**
 * macOS' own python3 is none without Apple's developer tools: started by the system it opens a dialog, on nobody's screen
 * perhaps. Where it is asked for and is none, another Python runs the script, or it is refused.
 */
function asksForStandIn(shebang: Shebang, machine: ScriptMachine): boolean {
  if (machine.platform !== "mac" || shebang.kind !== "program") return false;
  if (!shebang.throughEnv) return shebang.program === "/usr/bin/python3" && !machine.isProgram(shebang.program);
  return /^python[23]?$/.test(shebang.program) && systemPython(machine) === undefined;
}

/** The kernel takes a byte order mark or a carriage return for a part of the program's name. */
function unixText(text: string): string {
  const plain = withoutMark(text);
  const unix = /^[^\n]*\r\n/.test(plain) ? plain.replaceAll("\r\n", "\n") : plain;
  return unix.replace(/^(#!.*?)[ \t]+$/m, (line, kept, at) => (at === 0 ? kept : line));
}

/** Scripts ask for `python`; many systems have only `python3`. */
function privatePython(machine: ScriptMachine): { name: string; contents: string }[] {
  const python3 = findProgram("python3", machine);
  if (python3 === undefined || findProgram("python", machine) !== undefined) return [];
  const quoted = `'${python3.replaceAll("'", "'\\''")}'`;
  return [{ name: "python", contents: `#!/bin/sh\nexec ${quoted} "$@"\n` }];
}
