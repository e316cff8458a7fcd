import { type AppQuery, type appErrors, compileAppRegex, parseAppVerify } from "@sallyport/protocol";
import type { Platform } from "../interpreter/machine.ts";
import type { Application, ApplicationSource } from "./application.ts";
import { nameMatcher } from "./name-matcher.ts";

export type HostCheckMachine = {
  platform: Platform;
  /** What lists the applications of this machine; see `applicationSources`. */
  sources: readonly ApplicationSource[];
  /** For one regular expression over all names of one source. */
  regexDeadlineMs?: number;
};

type AppError = (typeof appErrors)[number];

const usualRegexDeadlineMs = 2000;
/** Regular expressions that ran into their deadline; those after them are not tried. */
const mostLateRegexes = 3;

/**
 * The answers to a client config's query lines (those between its APP_VERIFY comments, with or without `# `), as
 * `UV_APPVER_<NAME>`: a version, ERR_NOT_FOUND, ERR_NO_VERSION, ERR_MANY_FOUND or ERR_REGEX. Queries for other platforms
 * are not answered. Never rejects: a source that cannot be read has no applications.
 */
export async function answerHostChecks(
  lines: readonly string[],
  machine: HostCheckMachine,
): Promise<Record<`UV_APPVER_${string}`, string>> {
  const text = lines.map((line) => line.replace(/^#\s?/, "")).join("\n");
  const { queries, faults } = parseAppVerify(text);
  const answers: Record<`UV_APPVER_${string}`, string> = {};
  for (const { line } of faults) {
    const name = unreadableName(text.split("\n")[line - 1] ?? "", machine.platform);
    if (name !== undefined) answers[`UV_APPVER_${name}`] = "ERR_REGEX";
  }
  // What is asked of this platform goes before what is asked of all.
  const ours = ["all", machine.platform].flatMap((platform) => queries.filter((query) => query.platform === platform));
  const asked = [...new Map(ours.map((query) => [query.name, query])).values()];
  if (asked.length === 0) return answers;
  const deadlineMs = machine.regexDeadlineMs ?? usualRegexDeadlineMs;
  const matcher = nameMatcher({ deadlineMs });
  const lists = lazyLists(machine.sources);
  let late = 0;
  try {
    for (const query of asked) {
      const answer = late < mostLateRegexes ? await answerOne(query, lists, matcher) : "ERR_REGEX";
      if (answer === "ERR_REGEX") late += 1;
      answers[`UV_APPVER_${query.name}`] = answer;
    }
  } finally {
    await matcher.close();
  }
  return answers;
}

type Lists = readonly (() => Promise<readonly Application[]>)[];

/** Each list is made once, and only when the sources before it did not know what is asked. */
function lazyLists(sources: readonly ApplicationSource[]): Lists {
  return sources.map((source) => {
    let list: Promise<readonly Application[]> | undefined;
    return () => {
      list ??= source.list().catch(() => []);
      return list;
    };
  });
}

async function answerOne(
  query: AppQuery,
  lists: Lists,
  matcher: ReturnType<typeof nameMatcher>,
): Promise<string | AppError> {
  const regex = compileAppRegex(query.regex);
  if (!(regex instanceof RegExp)) return "ERR_REGEX";
  for (const list of lists) {
    const applications = await list();
    const names = applications.flatMap((application, index) =>
      application.names.map((name) => ({ name: name.slice(0, 300), index })),
    );
    const matches = await matcher.match(
      regex,
      names.map(({ name }) => name),
    );
    if (matches === undefined) return "ERR_REGEX";
    const found = new Set(names.filter((_, i) => matches[i]).map(({ index }) => index));
    if (found.size > 0) return versionOf(applications.filter((_, index) => found.has(index)));
  }
  return "ERR_NOT_FOUND";
}

/** Of one application; the same one, listed twice in the same version, is one. */
async function versionOf(applications: readonly Application[]): Promise<string | AppError> {
  if (new Set(applications.map(({ names }) => names[0])).size > 1) return "ERR_MANY_FOUND";
  const versions = new Set<string>();
  for (const { version } of applications.slice(0, 20)) {
    const known = typeof version === "function" ? await version().catch(() => undefined) : version;
    versions.add(fitForPeerInfo(known ?? ""));
  }
  versions.delete("");
  if (versions.size > 1) return "ERR_MANY_FOUND";
  return [...versions][0] ?? "ERR_NO_VERSION";
}

/** A value of openvpn's peer info is a line, and of ours a short one; nothing in it ends a quoted word of a config. */
function fitForPeerInfo(version: string): string {
  return version
    .trim()
    .replace(/[^A-Za-z0-9._+~:()-]+/g, "_")
    .slice(0, 64);
}

/** The name in a line that could not be read, if it was for this platform: what asked gets to know that. */
function unreadableName(line: string, platform: Platform): string | undefined {
  const [, asked, name] = /^\s*(?:(\w+)\s*:)?\s*([A-Za-z0-9_]{1,64})\s*=/.exec(line) ?? [];
  return asked === undefined || asked === "all" || asked === platform ? name : undefined;
}
