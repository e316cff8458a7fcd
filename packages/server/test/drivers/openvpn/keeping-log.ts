import type { Log } from "../../../src/core/log.ts";

export type LoggedLine = { level: keyof Log; fields: Record<string, unknown>; message: string };

/** A log that keeps what it was told. */
export function keepingLog(): Log & { lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const keep = (level: keyof Log) => (fields: object, message: string) => {
    lines.push({ level, fields: { ...fields }, message });
  };
  return { lines, debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") };
}
