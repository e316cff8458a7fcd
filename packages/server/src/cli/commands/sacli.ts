import type { Command } from "commander";
import { isSacliVerb, type SacliVerb, sacliVerbs, textVerbs } from "../../api/access-server/verb-list.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { visible } from "../for-people.ts";
import { readTextFile } from "../read-text.ts";

type Options = {
  user?: string;
  key?: string;
  value?: string;
  value_file?: string;
  new_pass?: string;
  pfilt?: string;
  tfilt?: string;
};

/** `sallyport sacli …`, also as a program of its own name: Access Server's administration in its own words. */
export function register(program: Command, cli: Cli): void {
  program
    .command("sacli <verb>")
    .description("Access Server's administration in its own words; prints JSON")
    .option("-u, --user <name>", "a user, a group, or __DEFAULT__")
    .option("-k, --key <key>", "a property or setting")
    .option("-v, --value <value>", "its value")
    .option("--value_file <file>", "a file that holds its value")
    .option("--new_pass <password>", "for SetLocalPassword; asked for, or a line on standard input, where left out")
    .option("-f, --pfilt <name>", "for UserPropGet: only this record")
    .option("--tfilt <type>", "for UserPropGet: only records of this type")
    .action(async (verb: string, options: Options) => {
      if (!isSacliVerb(verb)) throw new UsageError(`sacli has no verb ${visible(verb)}; there are:\n${verbList()}`);
      const value = await givenValue(options);
      const given = {
        verb,
        user: options.user ?? options.pfilt,
        key: options.key,
        value,
        type: options.tfilt,
      };
      const needs: readonly string[] = sacliVerbs[verb].needs;
      for (const need of ["user", "key", "value"] as const) {
        if (needs.includes(need) && given[need] === undefined) throw new UsageError(`${verb} needs --${need}`);
      }
      const password = needs.includes("password") ? await newPassword(cli, options) : undefined;
      const result = await cli.call<unknown>("sacli", { ...given, password });
      cli.print(result, textVerbs.includes(verb) ? String : asJson);
    });
}

async function givenValue(options: Options): Promise<string | undefined> {
  if (options.value !== undefined && options.value_file !== undefined) {
    throw new UsageError("give either --value or --value_file");
  }
  if (options.value_file === undefined) return options.value;
  return await readTextFile(options.value_file, "value");
}

async function newPassword(cli: Cli, { new_pass, user }: Options): Promise<string> {
  if (new_pass !== undefined) return new_pass;
  const prompt = `Password for ${visible(user ?? "")}: `;
  return await cli.questions().ask({ prompt, echo: false, what: "the password" });
}

function verbList(): string {
  const verbs = Object.keys(sacliVerbs) as SacliVerb[];
  const longest = Math.max(...verbs.map((verb) => verb.length));
  return verbs.map((verb) => `  ${verb.padEnd(longest)}  ${sacliVerbs[verb].summary}`).join("\n");
}

/** As Access Server prints it, and as programs that read it expect it: indented by two. */
function asJson(result: unknown): string {
  return `${JSON.stringify(result, null, 2)}\n`;
}
