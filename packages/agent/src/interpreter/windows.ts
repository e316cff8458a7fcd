import {
  cmdLine,
  cmdWord,
  longestCmdLine,
  longestCommandLine,
  notForCmd,
  quoteArgument,
  quoted,
  quoteProgram,
  splitCommandLine,
} from "./command-line.ts";
import { findProgram, isAbsoluteOnWindows, type ScriptMachine, variable } from "./machine.ts";
import { startPython } from "./python-start.ts";
import { type Interpretation, nameWith, refused, type Script, type ScriptFile } from "./script-start.ts";
import { readShebang, type Shebang, withoutMark } from "./shebang.ts";

/** The extension that a program wants its scripts to have; cscript and PowerShell refuse others. */
const extensionOf: Record<string, string> = {
  powershell: "ps1",
  pwsh: "ps1",
  cscript: "vbs",
  wscript: "vbs",
  perl: "pl",
  ruby: "rb",
  node: "js",
  bash: "sh",
  sh: "sh",
  cmd: "cmd",
};

/** Programs that take a line beginning with `#!` for a comment. For others it is left out. */
const knowShebangs = ["powershell", "pwsh", "perl", "ruby", "node", "bash", "sh", "python", "python3", "pythonw", "py"];

/** Windows itself reads no first lines; this does. */
export function interpretOnWindows(script: Script, machine: ScriptMachine): Interpretation {
  const shebang = readShebang(script.text);
  switch (shebang.kind) {
    case "none":
      return startBatch(fileOf(script, "cmd", batchText(withoutMark(script.text))), machine);
    case "python":
      return startPython(script, machine);
    case "extension":
      return startByExtension(fileOf(script, shebang.extension.toLowerCase(), withoutFirstLine(script)), machine);
    case "program":
      return startProgram(script, shebang, machine);
    default:
      return refused(shebang.reason);
  }
}

function fileOf(script: Script, extension: string, contents: string): ScriptFile {
  return { name: nameWith(script.fileBase, extension), extension, contents };
}

function pathOf(file: ScriptFile, machine: ScriptMachine): string {
  return `${machine.directory}\\${file.name}`;
}

function withoutFirstLine(script: Script): string {
  return withoutMark(script.text).replace(/^[^\r\n]*(\r\n|\n|\r|$)/, "");
}

/** cmd.exe loses its labels in files with bare line feeds, and reads other letters as the console's code page has them. */
function batchText(text: string): string {
  const lines = text.replace(/\r?\n/g, "\r\n");
  return /[^\p{ASCII}]/u.test(lines) ? `@chcp 65001 >nul\r\n${lines}` : lines;
}

/** PowerShell 5 reads a file without a mark in the machine's old code page. */
function powershellText(text: string): string {
  return /[^\p{ASCII}]/u.test(text) ? `\uFEFF${text}` : text;
}

function systemProgram(relative: string, machine: ScriptMachine): string {
  return `${variable(machine, "SystemRoot") ?? "C:\\Windows"}\\System32\\${relative}`;
}

/** Of the system's own directory, whatever ComSpec or PATH say: those may come with the script. */
const cmdOf = (machine: ScriptMachine) => systemProgram("cmd.exe", machine);

function started(program: string, commandLine: string, file: ScriptFile): Interpretation {
  if (commandLine.length > longestCommandLine) return refused("the command line is longer than Windows allows");
  const args = splitCommandLine(commandLine.replace(/^"[^"]*"\s*/, ""));
  return { kind: "start", program, args, commandLine, file, moreFiles: [], privatePrograms: [] };
}

function startThroughCmd(
  options: readonly string[],
  before: readonly string[],
  words: readonly string[],
  file: ScriptFile,
  machine: ScriptMachine,
): Interpretation {
  for (const word of [...words, pathOf(file, machine)]) {
    const why = notForCmd(word);
    if (why !== undefined) return refused(`${JSON.stringify(word)} cannot be handed to cmd.exe: ${why}`);
  }
  const cmd = cmdOf(machine);
  const line = cmdLine(cmd, options, [...before, ...words.map(cmdWord), `"${pathOf(file, machine)}"`]);
  if (line.length > longestCmdLine) return refused("the command line is longer than cmd.exe allows");
  return started(cmd, line, file);
}

function startBatch(file: ScriptFile, machine: ScriptMachine): Interpretation {
  return startThroughCmd([], [], [], file, machine);
}

/**
 * A file of that extension, opened as the machine opens it. Batch files, PowerShell and Windows Script Host are started
 * with their console programs: their association is an editor, or a window that nobody may be there to close.
 */
function startByExtension(file: ScriptFile, machine: ScriptMachine): Interpretation {
  switch (file.extension) {
    case "bat":
    case "cmd":
      return startBatch({ ...file, contents: batchText(file.contents) }, machine);
    case "ps1":
      return startPowershell(
        systemProgram("WindowsPowerShell\\v1.0\\powershell.exe", machine),
        ["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"],
        { ...file, contents: powershellText(file.contents) },
        machine,
      );
    case "vbs":
    case "vbe":
    case "js":
    case "jse":
    case "wsf":
      return startPlainly(systemProgram("cscript.exe", machine), ["//NoLogo"], file, machine);
    default:
      return startThroughCmd([], ["start", '""', "/wait", "/b"], [], file, machine);
  }
}

function startPlainly(
  program: string,
  options: readonly string[],
  file: ScriptFile,
  machine: ScriptMachine,
): Interpretation {
  const line = [quoteProgram(program), ...options.map(quoteArgument), quoted(pathOf(file, machine))].join(" ");
  return started(program, line, file);
}

/** Without -File, PowerShell would take the path for a piece of program. */
function startPowershell(
  program: string,
  options: readonly string[],
  file: ScriptFile,
  machine: ScriptMachine,
): Interpretation {
  const said = options.some((option) => /^[-/](f|fi|fil|file|c|co|com|comm|comma|comman|command)$/i.test(option));
  return startPlainly(program, said ? options : [...options, "-File"], file, machine);
}

function startProgram(
  script: Script,
  shebang: Extract<Shebang, { kind: "program" }>,
  machine: ScriptMachine,
): Interpretation {
  const { program: asked, throughEnv } = shebang;
  const isPython = /^python[23]?(\.\d+)?$/;
  if (throughEnv && isPython.test(asked)) return startPython(script, machine);
  const program = locate(asked, throughEnv, machine);
  if (program.path === undefined) return refused(program.reason);
  if ((shebang.options.replace(/\\\\|\\"/g, "").match(/"/g)?.length ?? 0) % 2 === 1) {
    return refused(`a quote is not closed in the options of the first line: ${shebang.options}`);
  }
  const options = splitCommandLine(shebang.options);
  const name = (program.path.split(/[\\/]/).at(-1) ?? "").toLowerCase().replace(/\.(exe|com)$/, "");
  const kept = withoutMark(script.text);
  const text = knowShebangs.includes(name) ? kept : withoutFirstLine(script);
  const engine = options
    .find((option) => /^\/\/e:/i.test(option))
    ?.slice(4)
    .toLowerCase();
  const extension =
    engine === "jscript" ? "js" : (extensionOf[name] ?? (/^pythonw?3?$|^py$/.test(name) ? "py" : "txt"));
  const file = fileOf(script, extension, text);
  if (name === "cmd") {
    const others = options.filter((option) => !/^\/[cksd]$|^\/v:off$/i.test(option));
    const odd = others.find((option) => !/^\/(q|a|u|e:on|e:off|v:on)$/i.test(option));
    if (odd !== undefined) return refused(`cmd.exe is given the script alone: leave ${JSON.stringify(odd)} out`);
    return startThroughCmd(others, [], [], { ...file, contents: batchText(text) }, machine);
  }
  if (/\.(bat|cmd)$/.test(name)) return startThroughCmd([], [], [program.path, ...options], file, machine);
  if (extension === "ps1") {
    return startPowershell(program.path, options, { ...file, contents: powershellText(text) }, machine);
  }
  return startPlainly(program.path, options, file, machine);
}

function locate(
  asked: string,
  throughEnv: boolean,
  machine: ScriptMachine,
): { path: string } | { path: undefined; reason: string } {
  const none = (reason: string) => ({ path: undefined, reason });
  if (/["\r\n<>|*?]/.test(asked)) return none(`${JSON.stringify(asked)} is no name that a program could have`);
  if (isAbsoluteOnWindows(asked) && !throughEnv) {
    if (machine.isProgram(asked)) return { path: asked };
    const unquoted =
      asked.includes(" ") || /\.(exe|com|bat|cmd)$/i.test(asked) ? "" : "; a path with spaces needs quotes";
    return none(`there is no program ${asked}${unquoted}`);
  }
  if (/[\\/:]/.test(asked)) return none(`${asked} is no path of Windows: give the whole path, or a name that PATH has`);
  const path = findProgram(asked, machine);
  return path === undefined ? none(`there is no ${asked} in PATH`) : { path };
}
