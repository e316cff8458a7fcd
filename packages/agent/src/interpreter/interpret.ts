import type { ScriptMachine } from "./machine.ts";
import { harmlessName, type Interpretation, refused, type Script, type ScriptStart } from "./script-start.ts";
import { interpretOnUnix } from "./unix.ts";
import { interpretOnWindows } from "./windows.ts";

/**
 * Decides which program runs a script, from its first line and the machine alone; runs nothing and writes nothing.
 * docs/client-script-languages.md describes each form.
 */
export function interpret(script: Script, machine: ScriptMachine): Interpretation {
  if (script.text.includes("\0")) return refused("the script holds a NUL byte, so it is no text");
  const named = { ...script, fileBase: harmlessName(script.fileBase) };
  return machine.platform === "win" ? interpretOnWindows(named, machine) : interpretOnUnix(named, machine);
}

/** What `child_process.spawn` must be given so that the line on Windows is exactly `commandLine`. */
export function spawnOf(start: ScriptStart): {
  program: string;
  args: string[];
  options: { argv0?: string; windowsVerbatimArguments?: true };
} {
  if (start.commandLine === undefined) return { program: start.program, args: [...start.args], options: {} };
  const name = /^"[^"]*"|^\S+/.exec(start.commandLine)?.[0] ?? "";
  return {
    program: start.program,
    args: [start.commandLine.slice(name.length + 1)],
    options: { argv0: name, windowsVerbatimArguments: true },
  };
}
