import type { Command } from "commander";
import type { PropertyValue } from "../../api/commands/properties.ts";
import type { PropertyOwner } from "../../core/properties.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { table, visible } from "../for-people.ts";

type OwnerOptions = { user?: string; group?: string; default?: true };

/** `sallyport property …`: named strings on users, groups and the default that stands behind everybody. */
export function register(program: Command, cli: Cli): void {
  const property = program.command("property").description("properties of users, groups and the default");
  const ofOwner = (command: Command) =>
    command
      .option("--user <name>", "a user's property")
      .option("--group <name>", "a group's property")
      .option("--default", "the property of everybody without their own");

  ofOwner(property.command("set <key> <value>").description("set a property")).action(
    async (key: string, value: string, options: OwnerOptions) => {
      const owner = ownerOf(options);
      const set = await cli.call<PropertyValue & { unread?: string }>("property-set", { owner, key, value });
      cli.print(set, () => `Set ${visible(key)} of ${describe(owner)}.\n`);
      if (set.unread !== undefined) cli.note(`It changes nothing: ${set.unread}.`);
    },
  );
  ofOwner(
    property
      .command("get [key]")
      .description("print a property's value (for a user: where it is inherited from, too), or list all of an owner"),
  ).action(async (key: string | undefined, options: OwnerOptions) => {
    const owner = ownerOf(options);
    if (key === undefined) {
      const values = await cli.call<PropertyValue[]>("property-list", { owner });
      cli.printList(values, `${describe(owner, true)} has no properties.`, (all) =>
        table(
          ["PROPERTY", "VALUE"],
          all.map((one) => [one.key, one.value]),
        ),
      );
      return;
    }
    const found = await cli.call<PropertyValue>("property-get", { owner, key });
    cli.print(found, () => `${visible(found.value)}\n`);
    if (found.from !== owner.kind) cli.note(`(from the ${found.from === "default" ? "default" : "group"})`);
  });
  ofOwner(property.command("delete <key>").description("delete a property")).action(
    async (key: string, options: OwnerOptions) => {
      const owner = ownerOf(options);
      cli.print(
        await cli.call<{ id: string }>("property-delete", { owner, key }),
        () => `Deleted ${visible(key)} of ${describe(owner)}.\n`,
      );
    },
  );
}

function ownerOf(options: OwnerOptions): PropertyOwner {
  const owners: PropertyOwner[] = [];
  if (options.user !== undefined) owners.push({ kind: "user", name: options.user });
  if (options.group !== undefined) owners.push({ kind: "group", name: options.group });
  if (options.default) owners.push({ kind: "default" });
  const [owner] = owners;
  if (owner === undefined || owners.length > 1) throw new UsageError("give one of --user, --group and --default");
  return owner;
}

function describe(owner: PropertyOwner, first = false): string {
  const words = owner.kind === "default" ? "the default" : `${owner.kind} ${visible(owner.name)}`;
  return first ? words.charAt(0).toUpperCase() + words.slice(1) : words;
}
