import type { Command } from "commander";
import type { GroupDetails } from "../../api/commands/groups.ts";
import type { Group } from "../../core/account.ts";
import type { Cli } from "../cli.ts";
import { details, localTime, table, visible } from "../for-people.ts";

/** `sallyport group …`: groups. Their properties are set with `property`. */
export function register(program: Command, cli: Cli): void {
  const group = program.command("group").description("groups");
  group
    .command("add <name>")
    .description("add a group")
    .action(async (name: string) => {
      cli.print(await cli.call<Group>("group-add", { name }), ({ id }) => `Added group ${visible(id)}.\n`);
    });
  group
    .command("list")
    .description("all groups")
    .action(async () => {
      cli.printList(await cli.call<Group[]>("group-list", {}), "There are no groups.", (groups) =>
        table(
          ["NAME", "CREATED"],
          groups.map((one) => [one.id, localTime(one.createdAt)]),
        ),
      );
    });
  group
    .command("show <name>")
    .description("one group with its subnets and properties")
    .action(async (name: string) => {
      cli.print(await cli.call<GroupDetails>("group-show", { name }), peopleGroup);
    });
  group
    .command("delete <name>")
    .description("delete a group with its properties")
    .action(async (name: string) => {
      cli.print(
        await cli.call<{ id: string }>("group-delete", { name }),
        ({ id }) => `Deleted group ${visible(id)}.\n`,
      );
    });
}

function peopleGroup(group: GroupDetails): string {
  const facts = details([
    ["name", group.id],
    ["created", localTime(group.createdAt)],
    ["subnets", group.subnets.length === 0 ? null : group.subnets.join(", ")],
  ]);
  const rows = Object.entries(group.properties);
  return rows.length === 0 ? facts : `${facts}\n${table(["PROPERTY", "VALUE"], rows)}`;
}
