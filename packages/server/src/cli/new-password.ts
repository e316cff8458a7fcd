import type { Cli } from "./cli.ts";
import { UsageError } from "./failure.ts";
import { visible } from "./for-people.ts";

/**
 * A new password: the first line of standard input where that was said, else typed twice on the terminal without
 * echo. Undefined only where none is needed and none was given. Errors: wrong usage.
 */
export async function askNewPassword(
  cli: Cli,
  options: { name: string; fromStdin: boolean; optional: boolean },
): Promise<string | undefined> {
  const questions = cli.questions();
  const what = "the password";
  if (options.fromStdin) {
    const password = await questions.line(what);
    if (password === "") throw new UsageError("the first line of standard input is empty: no password was given");
    return password;
  }
  if (!questions.onTerminal) {
    if (options.optional) return undefined;
    throw new UsageError("there is no terminal to ask on: give the password with --password-stdin");
  }
  const none = options.optional ? " (empty: none)" : "";
  const first = await questions.ask({ prompt: `Password for ${visible(options.name)}${none}: `, echo: false, what });
  if (first === "" && options.optional) return undefined;
  if (first === "") throw new UsageError("the password is empty");
  const second = await questions.ask({ prompt: "The same again: ", echo: false, what });
  if (first !== second) throw new UsageError("the two passwords differ; nothing was changed");
  return first;
}
