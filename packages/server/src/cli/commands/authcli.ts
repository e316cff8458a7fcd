import type { Command } from "commander";
import type { AuthenticateResult } from "../../api/commands/authenticate.ts";
import type { Cli } from "../cli.ts";
import { Refusal } from "../failure.ts";
import { visible } from "../for-people.ts";
import { pythonDict } from "../python-repr.ts";

/** `sallyport authcli -u USER`: one authentication, printed as Access Server's tool of that name prints it. */
export function register(program: Command, cli: Cli): void {
  program
    .command("authcli")
    .description("one authentication, without a VPN; the password and answers are asked, or a line each on stdin")
    .requiredOption("-u, --user <name>", "who signs in")
    .option("-p, --pass <password>", "the password, seen by everybody who may list processes; asked unless given")
    .option("--client-address <address>", "the address the client is said to come from")
    .action(async (options: Options) => {
      const result = await authenticate(cli, options);
      cli.print(result.shown, () => accessServerForm(result.shown));
      if (result.refusal) throw result.refusal;
    });
}

type Options = { user: string; pass?: string; clientAddress?: string };

type Shown = {
  status: "SUCCEED" | "FAIL";
  reason: string;
  user: string;
  proplist?: Readonly<Record<string, string>>;
  client_reason?: string;
  auth_method?: string;
  attemptId: string;
  code?: string;
};

async function authenticate(cli: Cli, options: Options): Promise<{ shown: Shown; refusal?: Refusal }> {
  const questions = cli.questions();
  const password = options.pass ?? (await questions.ask({ prompt: "Password: ", echo: false, what: "the password" }));
  const request = { username: options.user, password, clientAddress: options.clientAddress };
  let result = await cli.call<AuthenticateResult>("authenticate", request);
  // The daemon ends what never stops asking (scripts.mostQuestions).
  while (result.outcome === "challenge") {
    if (!questions.onTerminal) cli.note(result.text);
    const response = result.responseRequired
      ? await questions.ask({ prompt: `${result.text} `, echo: result.echo, what: "the answer to a challenge" })
      : "";
    const challenge = { stateId: result.stateId, response };
    result = await cli.call<AuthenticateResult>("authenticate", { ...request, challenge });
  }
  const { attemptId } = result;
  if (result.outcome === "allow") {
    const { reason, userId, properties, authMethod } = result;
    const shown = { status: "SUCCEED", reason, user: userId, proplist: properties } as const;
    return { shown: { ...shown, auth_method: authMethod, attemptId } };
  }
  const { reason, userId, clientReason, code, next } = result;
  const shown = { status: "FAIL", reason, user: userId ?? options.user } as const;
  return {
    shown: { ...shown, client_reason: clientReason, attemptId, code },
    refusal: new Refusal({ code, message: reason, next }),
  };
}

/** COMPATIBILITY: the heading, then one indented line a key, in this order where present. */
function accessServerForm({ status, reason, user, proplist }: Shown): string {
  const lines = [`status : ${status}`, `reason : ${visible(reason)}`, `user : ${visible(user)}`];
  if (proplist !== undefined) lines.push(`proplist : ${pythonDict(proplist)}`);
  return ["API METHOD: authenticate", ...lines.map((line) => `  ${line}`)].map((line) => `${line}\n`).join("");
}
