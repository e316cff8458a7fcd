import { builtInPythonCommand, systemRunner } from "../python/start.ts";
import { quoteArgument, quoteProgram } from "./command-line.ts";
import { findProgram, type ScriptMachine } from "./machine.ts";
import { type Interpretation, nameWith, refused, type Script, type ScriptStart } from "./script-start.ts";
import { withoutMark } from "./shebang.ts";

/**
 * Which Python runs it. `auto` is the machine's Python 3 on unix, where there is one, for all that it can do, and ours on
 * Windows, where a `python.exe` in PATH may be anything.
 */
export function pythonFor(machine: ScriptMachine): "builtin" | { system: string; args: readonly string[] } | undefined {
  if (machine.python === "builtin" || (machine.python === "auto" && machine.platform === "win")) return "builtin";
  const system = systemPython(machine);
  return system ?? (machine.python === "auto" ? "builtin" : undefined);
}

export function systemPython(machine: ScriptMachine): { system: string; args: readonly string[] } | undefined {
  const launcher = machine.platform === "win" ? findProgram("py.exe", machine) : undefined;
  if (launcher !== undefined) return { system: launcher, args: ["-3"] };
  const system = findProgram("python3", machine) ?? findProgram("python", machine);
  return system === undefined ? undefined : { system, args: [] };
}

/** A start under a Python with our layer before it, in a process of its own. */
export function startPython(script: Script, machine: ScriptMachine): Interpretation {
  const python = pythonFor(machine);
  if (python === undefined) {
    return refused(
      "there is no Python 3 in PATH, and the setting python asks for the machine's: install one, or say auto",
    );
  }
  const onWindows = machine.platform === "win";
  const separator = onWindows ? "\\" : "/";
  const file = { name: nameWith(script.fileBase, "py"), extension: "py", contents: withoutMark(script.text) };
  const path = machine.directory + separator + file.name;
  const start = (program: string, args: string[], rest: Pick<ScriptStart, "moreFiles" | "python">): ScriptStart => ({
    kind: "start",
    program,
    args,
    ...(onWindows ? { commandLine: [quoteProgram(program), ...args.map(quoteArgument)].join(" ") } : {}),
    file,
    privatePrograms: [],
    ...rest,
  });
  if (python === "builtin") {
    const { program, args } = builtInPythonCommand();
    return start(program, [...args, path], { moreFiles: [], python: "builtin" });
  }
  const runner = systemRunner();
  // -I: neither PYTHON* variables nor files in the current directory or the script's change what runs.
  const args = [...python.args, "-I", machine.directory + separator + runner.name, path];
  return start(python.system, args, { moreFiles: [runner], python: "system" });
}
