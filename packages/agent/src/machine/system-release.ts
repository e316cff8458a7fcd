import { execFile } from "node:child_process";
import { release } from "node:os";
import type { Platform } from "../interpreter/machine.ts";

const deadlineMs = 5_000;

/**
 * The system's version as other clients of that platform tell servers: the kernel's, and macOS' own (`15.3.1`), where the
 * kernel's (`24.3.0`) means something to nobody.
 */
export async function systemRelease(platform: Platform, program = "/usr/bin/sw_vers"): Promise<string> {
  if (platform !== "mac") return release();
  const said = await new Promise<string>((resolve) => {
    const options = { timeout: deadlineMs, env: { PATH: "/usr/bin:/bin" } };
    execFile(program, ["-productVersion"], options, (error, stdout) => resolve(error === null ? stdout.trim() : ""));
  });
  return /^\d+(\.\d+)*$/.test(said) ? said : release();
}
