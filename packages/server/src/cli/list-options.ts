import { InvalidArgumentError } from "commander";
import { timeAgo } from "./for-people.ts";

/** For `--limit`: how many rows at most. */
export function count(text: string): number {
  const value = Number(text);
  if (!/^\d{1,6}$/.test(text) || value < 1 || value > 100_000) {
    throw new InvalidArgumentError("Expected a number from 1 to 100000.");
  }
  return value;
}

/** For `--since`: an ISO time from a span or a time. */
export function since(text: string): string {
  const time = timeAgo(text);
  if (time === undefined) throw new InvalidArgumentError("Expected a span (90s, 30m, 24h, 7d) or an ISO 8601 time.");
  return time;
}
