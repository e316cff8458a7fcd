import type { ClientScript } from "@sallyport/protocol";
import { onLines, onOneLine } from "../fit-for-terminal.ts";
import type { FetchedBundle } from "../server/fetch-bundle.ts";
import { changeServer, consentFor, readConsent } from "./store.ts";

/** A script by its SHA-256, or the beginning of it. */
export const hashForm = /^[0-9a-f]{8,64}$/i;

/** `--scripts`: run none; ask for those not yet agreed to; run all of this server's. */
export const scriptModes = ["never", "ask", "trust"] as const;
export type ScriptMode = (typeof scriptModes)[number];

export type Decision = { run: true } | { run: false; reason: string };

export type DecideOptions = {
  mode: ScriptMode;
  path: string;
  /** The client config's: what is agreed to is agreed to of these keys. */
  server: { serverId: string; publicKeys: readonly string[]; name: string };
  /** Shows a text and gives one line of an answer; undefined where there is nobody to ask. */
  ask: ((text: string) => Promise<string>) | undefined;
};

/**
 * Whether the user lets a script run. No is the answer wherever nobody said yes. What is agreed to is the script's text
 * (its hash), of this server's key; another text, or another key, is another question.
 */
export async function decide(script: ClientScript, fetched: FetchedBundle, options: DecideOptions): Promise<Decision> {
  const { mode, path, server, ask } = options;
  if (mode === "never") return { run: false, reason: "no scripts are to run (--scripts never)" };
  if (mode === "trust") return { run: true };
  const { entry, changedKey } = consentFor(await readConsent(path), fetched);
  if (entry?.trusted) return { run: true };
  const earlier = entry?.scripts[script.sha256];
  if (earlier?.allowed) return { run: true };
  if (earlier !== undefined) return { run: false, reason: "you said that this script is never to run" };
  const how = "see it with `sallyport-agent trust`";
  if (ask === undefined) return { run: false, reason: `nobody agreed to it yet, and nobody is here to ask; ${how}` };
  const answer = (await ask(question(script, fetched, server.name, changedKey))).trim().toLowerCase();
  const note = (allowed: boolean) =>
    changeServer(path, server, (one) => {
      const noted = { name: script.name, at: new Date().toISOString(), allowed };
      return { ...one, scripts: { ...one.scripts, [script.sha256]: noted } };
    });
  switch (answer) {
    case "y":
    case "yes":
      await note(true);
      return { run: true };
    case "once":
      return { run: true };
    case "never":
      await note(false);
      return { run: false, reason: "you said that this script is never to run" };
    case "trust":
      await changeServer(path, server, (one) => ({ ...one, trusted: true }));
      return { run: true };
    default:
      return { run: false, reason: "you did not agree to it" };
  }
}

/** The whole of a script as a person should see it before they say yes. */
export function describe(script: ClientScript): string {
  // One line each: what a value holds cannot look like a part of the question.
  const variables = Object.entries(script.environment).map(([name, value]) => `  ${name}=${onOneLine(value)}`);
  return onLines(
    [
      `name     ${script.name}`,
      `runs     on ${script.event}, ${script.privilege === "admin" ? "as administrator" : "as you"}`,
      `SHA-256  ${script.sha256}`,
      ...(variables.length === 0 ? [] : ["variables", ...variables]),
      `text     ${sizeOf(script)}`,
      ...script.text
        .replace(/\n$/, "")
        .split("\n")
        .map((line) => `  | ${line}`),
    ].join("\n"),
  );
}

function sizeOf({ text }: ClientScript): string {
  const lines = text.replace(/\n$/, "").split("\n").length;
  const bytes = Buffer.byteLength(text);
  return `${lines} ${lines === 1 ? "line" : "lines"}, ${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
}

function question(script: ClientScript, { bundle }: FetchedBundle, server: string, changedKey: boolean): string {
  return [
    "",
    `${onOneLine(server)} wants to run a script on this machine.`,
    ...(changedKey
      ? ["THE SERVER'S KEY HAS CHANGED since you last agreed to something: ask your administrator first."]
      : []),
    `for      ${onOneLine(bundle.userId)}${bundle.group === null ? "" : `, group ${onOneLine(bundle.group)}`}`,
    describe(script),
    "",
    // Once more at the end: a long text has moved the beginning out of sight.
    `This was ${script.name}, ${sizeOf(script)}. Read all of it before you agree.`,
    "Run it?  yes (and again, as long as its text stays the same), once, never, trust (whatever this server sends)",
    "[no] ",
  ].join("\n");
}
