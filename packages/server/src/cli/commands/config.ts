import type { Command } from "commander";
import type { Setting } from "../../api/commands/settings.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { table, visible, visibleLines } from "../for-people.ts";
import { readTextFile } from "../read-text.ts";

type ShowOptions = { showSecrets?: boolean };

/** `sallyport config …`: the settings kept in the database, under Access Server's names. */
export function register(program: Command, cli: Cli): void {
  const config = program.command("config").description("settings kept in the database, under Access Server's names");
  config
    .command("set <key> [value]")
    .description("set a setting")
    .option("--value-file <file>", "take the value from a file")
    .action(async (key: string, given: string | undefined, options: { valueFile?: string }) => {
      if ((given === undefined) === (options.valueFile === undefined)) {
        throw new UsageError("give either a value or --value-file");
      }
      const value = given ?? (await readTextFile(options.valueFile ?? "", "value"));
      const setting = await cli.call<Setting & { unread?: string }>("config-set", { key, value });
      cli.print(setting, () => `Set ${visible(key)}.\n`);
      if (setting.unread !== undefined) cli.note(`It changes nothing: ${setting.unread}.`);
    });
  config
    .command("get <key>")
    .description("print a setting's value; a secret is masked")
    .option("--show-secrets", "print a secret as it is")
    .action(async (key: string, { showSecrets = false }: ShowOptions) => {
      const setting = await cli.call<Setting>("config-get", { key, showSecrets });
      cli.print(setting, ({ value }) => `${visibleLines(value)}\n`);
      if (!showSecrets && setting.value.includes("[secret]")) cli.note("(--show-secrets shows what is masked)");
    });
  config
    .command("delete <key>")
    .description("delete a setting, so that its default holds")
    .action(async (key: string) => {
      cli.print(await cli.call<{ id: string }>("config-delete", { key }), () => `Deleted ${visible(key)}.\n`);
    });
  config
    .command("list")
    .description("all settings; values of secrets are masked")
    .option("--show-secrets", "print secrets as they are")
    .action(async ({ showSecrets = false }: ShowOptions) => {
      cli.printList(await cli.call<Setting[]>("config-list", { showSecrets }), "No setting is set.", (settings) =>
        table(
          ["SETTING", "VALUE"],
          settings.map((one) => [one.key, shortened(one.value)]),
        ),
      );
    });
}

function shortened(value: string): string {
  return value.length <= 100 ? value : `${value.slice(0, 97)}...`;
}
