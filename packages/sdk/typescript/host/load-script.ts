/** From a script's text to what it exports, and what its options ask for. */
import { stripTypeScriptTypes } from "node:module";
import type { HookModule } from "../hook.ts";
import type { JsonObject } from "../json.ts";
import type { PostAuthOptions, PostAuthScript } from "../post-auth.ts";
import { messageOf } from "./failures.ts";
import type { Orders } from "./orders.ts";
import { overlaySettings } from "./settings.ts";
import { describe, Flattening, isPlain } from "./values.ts";

/** Why a script cannot be loaded, and where, as far as that is known (lines and columns count from 1). */
export class Fault extends Error {
  readonly line: number | null;
  readonly column: number | null;

  constructor(message: string, place: { line: number | null; column: number | null } = { line: null, column: null }) {
    super(message);
    this.line = place.line;
    this.column = place.column;
  }
}

/** What the daemon wants to know before it calls; see `ScriptFacts` in runner/runner.ts. */
export type Facts = {
  entry: "definePostAuth" | "defineHook";
  synchronous: boolean;
  authNull: boolean;
  retainPassword: boolean;
  groupSelect: boolean;
  staticChallenge: string | null;
  staticChallengeEcho: boolean;
  x509Track: string[];
  settings: JsonObject;
};

export type LoadedScript =
  | { decide: PostAuthScript["decide"]; settings: JsonObject; facts: Facts }
  | { tell: HookModule["tell"]; facts: Facts };

/** Throws `Fault`. */
export async function loadScript(orders: Orders, script: { url: string; code: string }): Promise<LoadedScript> {
  try {
    script.code = stripTypeScriptTypes(orders.text);
  } catch (error) {
    throw syntaxFault(error);
  }
  let exported: Record<string, unknown>;
  try {
    exported = await import(script.url);
  } catch (error) {
    throw new Fault(nameAndMessage(error), placeOf(error, script.url, orders.text));
  }
  if (orders.entry === "defineHook") return { tell: findHook(exported).tell, facts: hookFacts };
  const { decide, options } = findScript(exported);
  const facts = readOptions(options, orders.maxResultBytes);
  try {
    // The same for all calls: none may change them.
    const settings = frozen(overlaySettings(facts.settings, orders.settings));
    // Defaults alone may be wrong: they have to be overlaid before the script is live.
    if (orders.settings !== undefined) options.checkSettings?.(settings);
    return { decide, settings, facts };
  } catch (error) {
    throw new Fault(`its settings are not right: ${messageOf(error)}`);
  }
}

function frozen<Value extends object>(value: Value): Value {
  for (const one of Object.values(value)) if (typeof one === "object" && one !== null) frozen(one);
  return Object.freeze(value);
}

/** The stack of such an error begins with the line's number, then the line with marks below it, or lines marked `>`. */
function syntaxFault(error: unknown): Fault {
  const { message, stack = "" } = error as Error;
  const line = /^[^\n]*:(\d+)\n/.exec(stack)?.[1];
  const before = (/\n( *)\^+\n/.exec(stack) ?? /\n {2}> ( *)\S/.exec(stack))?.[1];
  const place = {
    line: line === undefined ? null : Number(line),
    column: before === undefined ? null : before.length + 1,
  };
  return new Fault(`SyntaxError: ${message}`, place);
}

function nameAndMessage(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${messageOf(error)}` : `the script threw ${messageOf(error)}`;
}

/** The innermost place in the script, or that of the import that could not be satisfied. */
function placeOf(error: unknown, url: string, text: string): { line: number | null; column: number | null } {
  const stack = error instanceof Error ? String(error.stack) : "";
  const at = stack.indexOf(`${url}:`);
  const [, line, column] = /^(\d+)(?::(\d+))?/.exec(at < 0 ? "" : stack.slice(at + url.length + 1)) ?? [];
  if (line !== undefined) return { line: Number(line), column: column === undefined ? null : Number(column) };
  const [, specifier] = /^("[^"]*") cannot be imported/.exec(error instanceof Error ? error.message : "") ?? [];
  if (specifier === undefined) return { line: null, column: null };
  const wanted = JSON.parse(specifier);
  const index = text.split("\n").findIndex((one) => one.includes(`"${wanted}"`) || one.includes(`'${wanted}'`));
  return { line: index < 0 ? null : index + 1, column: null };
}

function findScript(exported: Record<string, unknown>): PostAuthScript {
  const script = exported.default as Partial<PostAuthScript> | undefined;
  if (script?.kind === "sallyport-post-auth" && typeof script.decide === "function") return script as PostAuthScript;
  throw notDefined("definePostAuth", exported);
}

function findHook(exported: Record<string, unknown>): HookModule {
  const hook = exported.default as Partial<HookModule> | undefined;
  if (hook?.kind === "sallyport-hook" && typeof hook.tell === "function") return hook as HookModule;
  throw notDefined("defineHook", exported);
}

function notDefined(entry: Facts["entry"], exported: Record<string, unknown>): Fault {
  const names = Object.keys(exported);
  const found =
    exported.default !== undefined
      ? `its default export is ${describe(exported.default)}`
      : names.length === 0
        ? "it exports nothing"
        : `it exports ${names.slice(0, 20).join(", ")}`;
  return new Fault(`the script must have \`export default ${entry}(…)\`; ${found}`);
}

/** A hook has no options: nothing of what these tell is asked of it. */
const hookFacts: Facts = {
  entry: "defineHook",
  synchronous: false,
  authNull: false,
  retainPassword: false,
  groupSelect: false,
  staticChallenge: null,
  staticChallengeEcho: false,
  x509Track: [],
  settings: {},
};

const flags = ["synchronous", "authNull", "retainPassword", "groupSelect"] as const;
const known: readonly string[] = [...flags, "settings", "checkSettings", "staticChallenge", "certificateFields"];

function readOptions(options: PostAuthOptions, maxBytes: number): Facts {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new Fault(`definePostAuth has no option ${JSON.stringify(name)}; there are ${known.join(", ")}`);
    }
  }
  const isOn = (name: (typeof flags)[number]) => {
    const value: unknown = options[name] ?? false;
    if (typeof value !== "boolean")
      throw new Fault(`the option ${name} is ${describe(value)}; it must be true or false`);
    return value;
  };
  const { settings = {}, checkSettings } = options;
  if (!isPlain(settings)) throw new Fault(`the option settings is ${describe(settings)}; it must be an object`);
  if (checkSettings !== undefined && typeof checkSettings !== "function") {
    throw new Fault(`the option checkSettings is ${describe(checkSettings)}; it must be a function`);
  }
  return {
    entry: "definePostAuth",
    synchronous: isOn("synchronous"),
    authNull: isOn("authNull"),
    retainPassword: isOn("retainPassword"),
    groupSelect: isOn("groupSelect"),
    ...readStaticChallenge(options.staticChallenge),
    x509Track: readCertificateFields(options.certificateFields),
    settings: new Flattening(maxBytes).flatten(settings, "settings") as JsonObject,
  };
}

function readStaticChallenge(given: unknown): Pick<Facts, "staticChallenge" | "staticChallengeEcho"> {
  if (given === undefined) return { staticChallenge: null, staticChallengeEcho: false };
  const { text, echo = false } = isPlain(given) ? given : { text: given };
  if (typeof text !== "string" || !/^\P{Cc}+$/u.test(text) || typeof echo !== "boolean") {
    throw new Fault("the option staticChallenge must be one line of text, or { text, echo }");
  }
  return { staticChallenge: text, staticChallengeEcho: echo };
}

function readCertificateFields(given: unknown = []): string[] {
  if (Array.isArray(given) && given.every((name) => typeof name === "string" && /^\+?[\w.-]+$/.test(name))) {
    return [...given];
  }
  throw new Fault('the option certificateFields must be a list of attribute names, like ["CN", "+serialNumber"]');
}
