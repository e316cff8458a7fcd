import pino from "pino";
import type { Log } from "../core/log.ts";
import { openLogSink } from "./log-sink.ts";

/** Not by way of `process.stderr`, which would open a stream of its own on it. */
const standardError = 2;

/**
 * The daemon's log: one JSON object a line on standard error, times in UTC, so that a journal, a file or a terminal may
 * take it, none of which it waits for. `SALLYPORT_LOG_LEVEL` sets what is written (debug, info, warn, error).
 */
export function openLog(level: string | undefined): Log {
  const known = level !== undefined && level in pino.levels.values ? level : "info";
  return pino(
    {
      base: null,
      level: known,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    openLogSink(standardError),
  );
}
