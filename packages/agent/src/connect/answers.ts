import type { Questions } from "../cli/questions.ts";
import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import type { SignedIn } from "../profile/download-profile.ts";
import type { Answers } from "../tunnel/tunnel.ts";

/**
 * User name, password and answers, asked on the terminal. With `fromStdin` the password and each answer is a line of
 * standard input, in the order in which they are needed.
 */
export function answersFrom(questions: Questions, options: { user: string | undefined; fromStdin: boolean }): Answers {
  const { user, fromStdin } = options;
  const ask = (prompt: string, echo: boolean, what: string) => {
    if (!fromStdin && !questions.onTerminal)
      throw new AgentFailure("usage", `There is no terminal to ask for ${what} on.`, "Give it with --password-stdin.");
    return questions.ask({ prompt, echo, what });
  };
  return {
    mayAskAgain: !fromStdin,
    user: async () => {
      if (user !== undefined) return user;
      if (fromStdin) throw new AgentFailure("usage", "Whose password is it?", "Name the user with --user.");
      return await ask("User name: ", true, "the user name");
    },
    password: async (prompt) => await ask(prompt, false, "the password"),
    answer: async ({ text, echo }) => await ask(`${onOneLine(text)}: `, echo, "an answer"),
  };
}

/** The same, but the name and password that the server took a moment ago are not asked again, unless it refuses them now. */
export function answersAfter(answers: Answers, signedIn: SignedIn | undefined): Answers {
  if (signedIn === undefined) return answers;
  let given: string | undefined = signedIn.password;
  return {
    ...answers,
    user: async () => signedIn.user,
    password: async (prompt) => {
      const known = given;
      given = undefined;
      return known ?? (await answers.password(prompt));
    },
  };
}
