import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import type { ReadCommand } from "./application.ts";

const deadlineMs = 20_000;
const mostBytes = 64 * 1024 * 1024;

/** Where the system keeps its own programs: whatever PATH says, the list of applications is theirs. */
const directories = ["/usr/bin", "/bin", "/usr/local/bin"];

export const readCommand: ReadCommand = async (program, args) => {
  const path = directories.map((directory) => `${directory}/${program}`).find((known) => existsSync(known));
  if (path === undefined) return "";
  return new Promise((read) => {
    const options = {
      timeout: deadlineMs,
      killSignal: "SIGKILL" as const,
      maxBuffer: mostBytes,
      env: { ...process.env, LC_ALL: "C.UTF-8" },
    };
    const child = execFile(path, [...args], options, (error, output) => read(error === null ? output : ""));
    child.stdin?.end();
  });
};
