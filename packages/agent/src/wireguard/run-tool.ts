import { execFile } from "node:child_process";
import { ownPlatform } from "../machine/system.ts";
import { systemEnvironment } from "../machine/system-environment.ts";

const deadlineMs = 30_000;

/** What a program of the system prints. @throws Error with what it said */
export function runTool(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: deadlineMs, env: systemEnvironment(ownPlatform(), process.env), windowsHide: true };
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${[program, ...args].join(" ")}: ${stderr.trim() || error.message}`));
    });
  });
}
