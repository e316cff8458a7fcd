import { spawn } from "node:child_process";
import { findProgram, type Platform } from "../interpreter/machine.ts";
import { isProgram } from "./is-program.ts";

type Environment = Readonly<Record<string, string | undefined>>;
/** A program and its arguments; nothing of an address is read by a shell. */
type Command = { program: string; args: readonly string[] };

const mostUrlLength = 2_000;

/**
 * What opens an address in the browser of whoever is at this machine; undefined where there is no desktop, no such
 * program, or where the address is none of the web's: servers name it, and other kinds start other programs.
 */
export function browserCommand(
  url: string,
  machine: { platform: Platform; environment: Environment; isProgram(path: string): boolean },
): Command | undefined {
  const { platform, environment, isProgram } = machine;
  const address = URL.canParse(url) ? new URL(url) : undefined;
  if (address === undefined || url.length > mostUrlLength || !/^https?:$/.test(address.protocol)) return undefined;
  // As it was understood: no spaces, quotes or control characters are left in it.
  const { href } = address;
  if (platform === "win") {
    const root = environment.SystemRoot ?? "C:\\Windows";
    return { program: `${root}\\System32\\rundll32.exe`, args: ["url.dll,FileProtocolHandler", href] };
  }
  if (platform === "mac") return { program: "/usr/bin/open", args: [href] };
  if (!environment.DISPLAY && !environment.WAYLAND_DISPLAY) return undefined;
  const program = findProgram("xdg-open", { platform, environment, isProgram, directory: "/", python: "auto" });
  return program === undefined ? undefined : { program, args: [href] };
}

/** Opens it, with this account's own session. Whether a browser came of it is not known. */
export function openBrowser(url: string, platform: Platform, environment: NodeJS.ProcessEnv): void {
  const command = browserCommand(url, { platform, environment, isProgram });
  if (command === undefined) return;
  const child = spawn(command.program, [...command.args], {
    ...{ env: environment, cwd: "/", stdio: "ignore" as const, detached: true, windowsHide: true },
  });
  child.on("error", () => undefined);
  child.unref();
}
