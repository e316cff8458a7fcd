import { basename } from "node:path";
import type { LoadScript } from "../../runner/runner.ts";
import { readModule } from "../kinds/module.ts";
import type { Finding } from "./finding.ts";

export const isModule = (path: string) => /\.[cm]?[jt]s$/i.test(path);

/** Loads a hook module without calling it, and has the compiler look at its types. */
export async function checkModule(path: string, load: LoadScript): Promise<Finding[]> {
  const text = await readModule(path);
  if (typeof text !== "string") return [{ severity: "fault", line: null, message: text.error }];
  const outcome = await load({ name: basename(path), text, entry: "defineHook", thorough: true });
  if ("host" in outcome) {
    await outcome.host.close();
    return (outcome.notes ?? []).map((message) => ({ severity: "warning", line: null, message }));
  }
  return [outcome.fault, ...(outcome.more ?? [])].map(({ line, column, message }) => {
    return { severity: "fault", line, ...(column !== null && { column }), message };
  });
}
