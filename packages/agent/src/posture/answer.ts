import type { Platform } from "../interpreter/machine.ts";
import type { ApplicationSource } from "./application.ts";

export type HostCheckMachine = {
  platform: Platform;
  /** What lists the applications of this machine; see `applicationSources`. */
  sources: readonly ApplicationSource[];
};

/**
 * The answers to a client config's query lines (those between its APP_VERIFY comments, with or without `# `), as
 * `UV_APPVER_<NAME>`: a version, ERR_NOT_FOUND, ERR_NO_VERSION, ERR_MANY_FOUND or ERR_REGEX. Queries for other platforms
 * are not answered. Never rejects: a source that cannot be read has no applications.
 */
export async function answerHostChecks(
  _lines: readonly string[],
  _machine: HostCheckMachine,
): Promise<Record<`UV_APPVER_${string}`, string>> {
  return {};
}
