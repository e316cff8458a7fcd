import type { z } from "zod";
import { SallyportError } from "../core/errors.ts";
import type { CommandTable } from "./command.ts";

/** Finds the command, checks the input whole and runs it. Errors: `not-found`, `invalid-input`, or the command's own. */
export async function runCommand(commands: CommandTable, name: string, input: unknown): Promise<unknown> {
  const found = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!found) throw new SallyportError("not-found", `there is no command ${JSON.stringify(name.slice(0, 100))}`);
  const checked = found.input.safeParse(input ?? {});
  if (!checked.success) throw new SallyportError("invalid-input", describeIssues(checked.error.issues));
  const result = await found.run(checked.data as never);
  return result === undefined ? null : result;
}

function describeIssues(issues: readonly z.core.$ZodIssue[]): string {
  const shown = issues.slice(0, 5).map((issue) => {
    const place = issue.path.map(String).join(".");
    const message = issue.message.replace(/^Invalid input: /, "");
    return place === "" ? message : `${place}: ${message}`;
  });
  if (issues.length > shown.length) shown.push(`and ${issues.length - shown.length} more`);
  return shown.join("; ").slice(0, 2000);
}
