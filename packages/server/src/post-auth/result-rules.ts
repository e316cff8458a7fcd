import type { Properties } from "../core/properties.ts";

/** What is in force before a script is asked; whatever it leaves out of its answer stays so. */
export type Standing = { user: string; reason: string; properties: Properties };

export type Judged =
  | {
      decision: "allow" | "deny";
      user: string;
      reason: string;
      clientReason: string | null;
      properties: Properties;
      save: Properties;
      /** Other keys that the script put on authret, for the scripts after it. */
      extra: Record<string, unknown>;
      warnings: string[];
    }
  | { decision: "bad"; problem: string };

const longestText = 4_096;
const longestName = 256;
const mostPropertyBytes = 256 * 1024;
const known = new Set(["status", "user", "reason", "client_reason", "proplist"]);

/** How a language's scripts spell what is judged here, so that problems name what their authors wrote. */
type Spelling = {
  texts: Readonly<Record<"user" | "reason" | "client_reason", string>>;
  properties: string;
  save: string;
  dict: string;
  none: string;
  extra: (key: string) => string;
  flags: readonly [off: string, on: string];
};

const spellings = {
  python: {
    texts: { user: "authret['user']", reason: "authret['reason']", client_reason: "authret['client_reason']" },
    properties: "authret['proplist']",
    save: "proplist_save",
    dict: "a dict",
    none: "nothing (None)",
    extra: (key: string) => `authret['${key}']`,
    flags: ["False", "True"],
  },
  typescript: {
    texts: { user: "user", reason: "reason", client_reason: "clientReason" },
    properties: "properties",
    save: "save",
    dict: "an object",
    none: "undefined",
    extra: (key: string) => `data.${key}`,
    flags: ["false", "true"],
  },
} as const satisfies Record<string, Spelling>;

/**
 * Reads a decision from what a script returned: `authret`, or `[authret, proplist_save]`. The rules are COMPATIBILITY's
 * and hold for every language: what is not exactly a decision denies, and the problem names the value.
 */
export function judgeResult({
  value,
  before,
  language = "python",
}: {
  value: unknown;
  before: Standing;
  language?: keyof typeof spellings;
}): Judged {
  const words: Spelling = spellings[language];
  const [authret, saved] = Array.isArray(value) ? value : [value, {}];
  if (Array.isArray(value) && value.length !== 2) {
    return bad(`the script returned ${value.length} values; it must return authret or (authret, proplist_save)`);
  }
  if (!isRecord(authret)) return bad(`the script returned ${describe(authret, words)} where authret was expected`);
  const { status } = authret;
  if (status !== 0 && status !== 1) {
    const found = "status" in authret ? `is ${describe(status, words)}` : "is missing";
    return bad(`authret['status'] ${found}; it must be one of the integers SUCCEED (0) and FAIL (1)`);
  }
  const problems: string[] = [];
  const text = (key: keyof Spelling["texts"], otherwise: string) =>
    readText({ value: authret[key], place: words.texts[key], otherwise, problems, words });
  const properties = (given: unknown, place: string) => readProperties({ value: given, place, problems, words });
  const judged = {
    user: text("user", before.user),
    reason: text("reason", before.reason),
    clientReason: text("client_reason", "") || null,
    properties: "proplist" in authret ? properties(authret.proplist, words.properties) : before.properties,
    save: saved === null ? {} : properties(saved, words.save),
    extra: Object.fromEntries(Object.entries(authret).filter(([key]) => !known.has(key))),
  };
  if (judged.user === "") problems.push(`${words.texts.user} is empty`);
  const warnings = misplaced(judged.extra, words);
  // A denial stays one, whatever else is wrong with it.
  if (status === 1) return { decision: "deny", ...judged, warnings: [...warnings, ...problems] };
  return problems.length > 0 ? bad(problems.join("; ")) : { decision: "allow", ...judged, warnings };
}

const bad = (problem: string): Judged => ({ decision: "bad", problem });

type Reading = { value: unknown; place: string; problems: string[]; words: Spelling };

function readText({ value, place, problems, words, otherwise }: Reading & { otherwise: string }): string {
  if (value === undefined || value === null) return otherwise;
  if (typeof value === "string" && isClean(value) && value.length <= longestText) return value;
  problems.push(`${place} is ${describe(value, words)}; it must be a string of at most ${longestText} characters`);
  return otherwise;
}

function readProperties({ value, place, problems, words }: Reading): Properties {
  if (!isRecord(value)) {
    problems.push(`${place} is ${describe(value, words)}; it must be ${words.dict} of strings`);
    return {};
  }
  let size = 0;
  for (const [name, one] of Object.entries(value)) {
    if (name === "" || name.length > longestName || !isClean(name) || /[\r\n]/.test(name)) {
      problems.push(`${place} has ${describe(name, words)} as the name of a property`);
    }
    if (typeof one !== "string")
      problems.push(`${place}['${name}'] is ${describe(one, words)}; properties are strings`);
    else if (!isClean(one)) problems.push(`${place}['${name}'] holds a NUL or broken Unicode`);
    else size += name.length + one.length;
  }
  if (size > mostPropertyBytes)
    problems.push(`${place} holds ${size} characters; at most ${mostPropertyBytes} can be kept`);
  return problems.length > 0 ? {} : (value as Properties);
}

function misplaced(extra: Record<string, unknown>, words: Spelling): string[] {
  return Object.keys(extra)
    .filter((key) => /^(conn|prop|pvt)_/.test(key) && key !== "proplist_save")
    .map((key) => `${words.extra(key)} is ignored; it belongs in ${words.properties}`);
}

function isClean(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && floatText(value) === undefined;
}

/** A float as runners send those that JSON would turn into integers. */
function floatText(value: object): string | undefined {
  const text: unknown = (value as Record<string, unknown>).$float;
  return typeof text === "string" && Object.keys(value).length === 1 ? text : undefined;
}

function describe(value: unknown, { dict, none, flags }: Spelling): string {
  if (value === undefined || value === null) return none;
  if (typeof value === "boolean") return flags[value ? 1 : 0];
  if (typeof value === "string") return value.length > 60 ? "a long string" : `the string ${JSON.stringify(value)}`;
  if (typeof value === "number") return `the number ${value}`;
  if (Array.isArray(value)) return "a list";
  const float = floatText(value as object);
  return float === undefined ? dict : `the float ${float}`;
}
