import type { Command } from "commander";
import type { ListedVersion } from "../../api/commands/post-auth.ts";
import type { ListedSettings, ListedShipped } from "../../api/commands/shipped-scripts.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { table, visible } from "../for-people.ts";
import { readTextFile } from "../read-text.ts";
import { whoTypes } from "../who-types.ts";

/** `sallyport post-auth shipped|add-shipped|settings|configure`: scripts that need settings instead of edits. */
export function addSettling(postAuth: Command, cli: Cli): void {
  postAuth
    .command("shipped")
    .description("the scripts that come with Sallyport")
    .action(async () => {
      const shipped = await cli.call<ListedShipped[]>("post-auth-shipped", {});
      cli.printList(shipped, "No scripts came with Sallyport.", peopleShipped);
    });
  postAuth
    .command("add-shipped <name>")
    .description("store a script that comes with Sallyport, with its cases; `activate` makes it live")
    .option("--as <name>", "under another name than its own")
    .option("--settings <file>", "its settings, a JSON object")
    .action(async (name: string, options: { as?: string; settings?: string }) => {
      const settings = options.settings === undefined ? undefined : await readTextFile(options.settings, "settings");
      const wanted = { name, as: options.as, settings, by: await whoTypes(cli) };
      cli.print(
        await cli.call<ListedVersion>("post-auth-add-shipped", wanted),
        (one) => `Stored version ${one.version} of ${visible(one.script)}.\n`,
      );
      cli.note(`It is not live yet: \`sallyport post-auth activate ${options.as ?? name}\`.`);
    });
  postAuth
    .command("settings <name>")
    .description("a script's settings, as they are in force")
    .action(async (name: string) => {
      cli.print(await cli.call<ListedSettings>("post-auth-settings", { name }), peopleSettings);
    });
  postAuth
    .command("configure <name> [file]")
    .description("set all settings of a script from a file with a JSON object, in force at once")
    .option("--defaults", "go back to the script's own")
    .action(async (name: string, file: string | undefined, options: { defaults?: true }) => {
      if ((file === undefined) === (options.defaults === undefined))
        throw new UsageError("say a file of settings, or --defaults");
      const settings = file === undefined ? undefined : await readTextFile(file, "settings");
      cli.print(await cli.call<ListedSettings>("post-auth-configure", { name, settings }), peopleSettings);
    });
}

function peopleShipped(shipped: readonly ListedShipped[]): string {
  const stored = ({ storedVersion, isCurrent }: ListedShipped) =>
    storedVersion === null ? "no" : `version ${storedVersion}${isCurrent ? "" : ", an older text"}`;
  return table(
    ["NAME", "STORED", "WHAT IT DOES"],
    shipped.map((one) => [one.id, stored(one), one.summary]),
  );
}

function peopleSettings({ defaults, inForce }: ListedSettings): string {
  const settings = defaults as Readonly<Record<string, unknown>>;
  const present = inForce as Readonly<Record<string, unknown>>;
  const names = [...new Set([...Object.keys(settings), ...Object.keys(present)])];
  if (names.length === 0) return "It has no settings.\n";
  const shown = (value: unknown) => {
    const text = visible(JSON.stringify(value) ?? "");
    return text.length <= 100 ? text : `${text.slice(0, 97)}...`;
  };
  return table(
    ["SETTING", "IN FORCE", "DEFAULT"],
    names.map((name) => [name, shown(present[name]), shown(settings[name])]),
  );
}
