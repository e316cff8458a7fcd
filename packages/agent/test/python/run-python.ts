import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interpret, spawnOf } from "../../src/interpreter/interpret.ts";
import type { PythonChoice } from "../../src/interpreter/machine.ts";

export type Outcome = { status: number | null; signal: string | null; out: string; error: string; directory: string };

/** Runs a script as the agent does: its files in a directory of its own, an environment made from nothing. */
export async function runPython(
  text: string,
  python: PythonChoice,
  given: { environment?: Record<string, string>; stdin?: string; killAfter?: (out: string) => boolean } = {},
): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), "python-"));
  const environment = { PATH: "/usr/bin:/bin", HOME: directory, TMPDIR: directory, ...given.environment };
  const isProgram = (path: string) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  const start = interpret(
    { text, fileBase: "sample" },
    { platform: "linux", environment, directory, python, isProgram },
  );
  if (start.kind === "refused") throw new Error(start.reason);
  if (start.python !== python) throw new Error(`runs in the ${start.python} Python`);
  for (const file of [start.file, ...start.moreFiles]) {
    await writeFile(join(directory, file.name), file.contents, { mode: 0o700 });
  }
  const { program, args, options } = spawnOf(start);
  const child = spawn(program, args, { ...options, cwd: directory, env: environment, detached: true });
  const outcome: Outcome = { status: null, signal: null, out: "", error: "", directory };
  child.stdout.on("data", (bytes) => {
    outcome.out += bytes;
    // The whole group, as at a deadline.
    if (given.killAfter?.(outcome.out) && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  });
  child.stderr.on("data", (bytes) => {
    outcome.error += bytes;
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(given.stdin ?? "");
  await new Promise<void>((closed) => {
    child.on("close", (status, signal) => {
      outcome.status = status;
      outcome.signal = signal;
      closed();
    });
  });
  await rm(directory, { recursive: true });
  return outcome;
}
