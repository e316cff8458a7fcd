import { execFile } from "node:child_process";
import type { Platform } from "../interpreter/machine.ts";
import { isProgram } from "./is-program.ts";

const deadlineMs = 5_000;

/** Programs of macOS that are none without Apple's developer tools: run, they open a dialog that offers to install these. */
const standIns = ["/usr/bin/python3", "/usr/bin/pip3"];

/** What tells whether a path is a program that a script may be run by. */
export async function programCheck(platform: Platform): Promise<(path: string) => boolean> {
  if (platform !== "mac") return isProgram;
  const directory = await developerDirectory();
  return (path) => isProgramOnMac(path, directory);
}

/**
 * Whether a path is a program, on macOS: `directory` is that of the developer tools, undefined where none are installed.
 */
export function isProgramOnMac(
  path: string,
  directory: string | undefined,
  isThere: (path: string) => boolean = isProgram,
): boolean {
  if (!isThere(path)) return false;
  if (!standIns.includes(path)) return true;
  return directory !== undefined && isThere(`${directory}${path}`);
}

/** Where Apple's developer tools are, by xcode-select(1), which asks nobody anything; undefined where there are none. */
export async function developerDirectory(program = "/usr/bin/xcode-select"): Promise<string | undefined> {
  const said = await new Promise<string>((resolve) => {
    const options = { timeout: deadlineMs, env: { PATH: "/usr/bin:/bin" } };
    execFile(program, ["-p"], options, (error, stdout) => resolve(error === null ? stdout.trim() : ""));
  });
  return said.startsWith("/") && !said.includes("\n") ? said.replace(/\/+$/, "") : undefined;
}
