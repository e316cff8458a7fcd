import type { Properties } from "../../core/properties.ts";
import type { Expectation } from "./case-file.ts";

/** One object a case, as `post-auth test --json` prints it (INTERFACES, "Script cases"). */
export type CaseResult = {
  name: string;
  /** Null where the case expects nothing. */
  passed: boolean | null;
  /** 0 only if the server would admit. */
  status: 0 | 1;
  user: string;
  reason: string;
  client_reason: string | null;
  proplist: Properties;
  proplist_save: Properties;
  challenges: { text: string; echo: boolean }[];
  printed: string;
  /** A traceback, or what the server made of a result that is no decision. */
  error: string | null;
  duration_ms: number;
  /** What was not as expected, in words. */
  differences: string[];
};

/** What of a result is not as expected, one sentence each. */
export function differences(result: Omit<CaseResult, "passed" | "differences">, expect: Expectation): string[] {
  const found: string[] = [];
  const say = (key: string, expected: unknown, was: unknown) =>
    found.push(`${key}: expected ${JSON.stringify(expected)}, was ${JSON.stringify(was)}`);

  for (const key of ["status", "user", "reason", "client_reason"] as const) {
    if (expect[key] !== undefined && expect[key] !== result[key]) say(key, expect[key], result[key]);
  }
  for (const key of ["proplist", "proplist_save"] as const) {
    for (const [name, expected] of Object.entries(expect[key] ?? {})) {
      const was = result[key][name] ?? null;
      if (was !== expected) say(`${key}.${name}`, expected, was);
    }
  }
  const asked = result.challenges.map(({ text }) => text);
  if (expect.challenges !== undefined && JSON.stringify(expect.challenges) !== JSON.stringify(asked)) {
    say("challenges", expect.challenges, asked);
  }
  if (expect.printed !== undefined && !result.printed.includes(expect.printed))
    say("printed", expect.printed, result.printed);
  if (expect.error !== undefined) {
    const right = expect.error === null ? result.error === null : result.error?.includes(expect.error);
    if (!right) say("error", expect.error, result.error);
  }
  return found;
}
