import type { Telling } from "../../core/hook.ts";
import type { Tell } from "../tell.ts";
import { LineFile } from "./line-file.ts";

export type LogFile = {
  path: string;
  /** Whether a line is on the disk before its event counts as told. */
  sync: boolean;
};

/** Told by a line of JSON in a file: the event's own fields, and `at`, when it was written. */
export function logHook(log: LogFile): Tell {
  const file = new LineFile(log);
  return async (event): Promise<Telling> => {
    const begun = performance.now();
    const said = () => ({ output: "", durationMs: Math.round(performance.now() - begun) });
    try {
      await file.append(JSON.stringify({ at: new Date().toISOString(), ...event }));
      return { answer: "yes", failure: null, error: null, ...said() };
    } catch (error) {
      return { answer: "failed", failure: "unreachable", error: troubleOf(log.path, error), ...said() };
    }
  };
}

function troubleOf(path: string, error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = error instanceof Error ? error.message : String(error);
  return `${path} could not be written to: ${wordsFor[code] ?? reason}`;
}

const wordsFor: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the quota is used up",
  ENOENT: "its directory does not exist; make it",
  EACCES: "this server's account may not",
  EROFS: "the file system is read-only",
  EISDIR: "it is a directory",
  ENXIO: "it is a pipe that nobody reads",
};
