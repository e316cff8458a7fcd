export type Platform = "win" | "mac" | "linux";

/** Which Python runs a `#PYTHON` script: ours, the machine's, or as it suits the platform (see `pythonFor`). */
export type PythonChoice = "builtin" | "system" | "auto";

/** What the choice of an interpreter depends on; a value, so that every platform's choice can be tested on any. */
export type ScriptMachine = {
  platform: Platform;
  /** The environment the script will have: `PATH` (with `PREPATH` before it), on Windows `PATHEXT`, `ComSpec` too. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the directory, private to the script, that its file is written to. */
  directory: string;
  python: PythonChoice;
  /** Whether the path names a file that may be executed. */
  isProgram(path: string): boolean;
};

/** A variable's value; Windows knows no difference between `Path` and `PATH`. */
export function variable(machine: ScriptMachine, name: string): string | undefined {
  if (machine.platform !== "win") return machine.environment[name];
  const key = Object.keys(machine.environment).find((known) => known.toUpperCase() === name.toUpperCase());
  return key === undefined ? undefined : machine.environment[key];
}

/**
 * The absolute path of a program that is named without a directory, as the platform finds it in PATH; never in the
 * current directory, and never one of Microsoft's place holders (`WindowsApps`), which open the store.
 */
export function findProgram(name: string, machine: ScriptMachine): string | undefined {
  if (name === "" || /[/\\:\0]/.test(name) || name === "." || name === "..") return undefined;
  const onWindows = machine.platform === "win";
  for (const entry of (variable(machine, "PATH") ?? "").split(onWindows ? ";" : ":")) {
    const directory = onWindows ? entry.replace(/^"(.*)"$/, "$1").replace(/[\\/]+$/, "") : entry.replace(/\/+$/, "");
    if (onWindows ? !isAbsoluteOnWindows(`${directory}\\`) : !entry.startsWith("/")) continue;
    if (onWindows && /\\WindowsApps$/i.test(directory)) continue;
    for (const extension of onWindows ? extensionsFor(name, machine) : [""]) {
      const path = `${directory}${onWindows ? "\\" : "/"}${name}${extension}`;
      if (machine.isProgram(path)) return path;
    }
  }
  return undefined;
}

/** A drive's path or a share's, not one relative to a drive (`c:foo`) or to the current drive (`\foo`). */
export function isAbsoluteOnWindows(path: string): boolean {
  return /^[a-z]:[\\/]/i.test(path) || /^\\\\[^\\/]+[\\/]/.test(path);
}

/** What may follow the name: nothing where it has a program's extension, else PATHEXT's, of those we can start. */
function extensionsFor(name: string, machine: ScriptMachine): readonly string[] {
  const startable = [".com", ".exe", ".bat", ".cmd"];
  if (startable.some((extension) => name.toLowerCase().endsWith(extension))) return [""];
  const listed = (variable(machine, "PATHEXT") ?? ".COM;.EXE;.BAT;.CMD").toLowerCase().split(";");
  return listed.filter((extension) => startable.includes(extension));
}
