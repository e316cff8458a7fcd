import type { Command } from "commander";
import type { UserDetails, UserEnded } from "../../api/commands/users.ts";
import type { User } from "../../core/account.ts";
import type { Cli } from "../cli.ts";
import { details, localTime, table, visible } from "../for-people.ts";
import { askNewPassword } from "../new-password.ts";

/** `sallyport user …`: local accounts. */
export function register(program: Command, cli: Cli): void {
  const user = program.command("user").description("local accounts");
  const passwordStdin = ["--password-stdin", "the password is the first line of standard input"] as const;

  user
    .command("add <name>")
    .description("add an account; without a password it cannot log in by the local method")
    .option(...passwordStdin)
    .option("--no-password", "do not ask for a password on the terminal")
    .action(async (name: string, options: { passwordStdin?: true; password: boolean }) => {
      const password = options.password
        ? await askNewPassword(cli, { name, fromStdin: options.passwordStdin === true, optional: true })
        : undefined;
      const added = await cli.call<User>("user-add", { name, password });
      cli.print(added, () => `Added user ${visible(added.id)}.\n`);
      if (!added.hasPassword) {
        cli.note(`It has no password: set one with \`sallyport user password ${visible(name)}\`.`);
      }
    });
  user
    .command("list")
    .description("all accounts")
    .action(async () => {
      cli.printList(await cli.call<User[]>("user-list", {}), "There are no users.", (users) =>
        table(
          ["NAME", "STATE", "PASSWORD", "CREATED"],
          users.map((one) => [one.id, stateOf(one), one.hasPassword ? "set" : "none", localTime(one.createdAt)]),
        ),
      );
    });
  user
    .command("show <name>")
    .description("one account, and the properties in force for it")
    .action(async (name: string) => {
      cli.print(await cli.call<UserDetails>("user-show", { name }), peopleUser);
    });
  user
    .command("disable <name>")
    .description("refuse this account, and end its connections")
    .action(async (name: string) => {
      cli.print(
        await cli.call<UserEnded>("user-disable", { name }),
        ({ id, endedConnections }) => `Disabled user ${visible(id)}${ended(endedConnections)}.\n`,
      );
    });
  user
    .command("enable <name>")
    .description("let a disabled account in again")
    .action(async (name: string) => {
      cli.print(await cli.call<User>("user-enable", { name }), ({ id }) => `Enabled user ${visible(id)}.\n`);
    });
  user
    .command("delete <name>")
    .description("delete an account with its properties, and end its connections")
    .action(async (name: string) => {
      cli.print(
        await cli.call<UserEnded>("user-delete", { name }),
        ({ id, endedConnections, revokedClientConfigs = 0 }) =>
          `Deleted user ${visible(id)}${ended(endedConnections)}${
            revokedClientConfigs === 0 ? "" : `, and revoked ${revokedClientConfigs} client config(s)`
          }.\n`,
      );
    });
  user
    .command("password <name>")
    .description("set an account's password")
    .option(...passwordStdin)
    .action(async (name: string, options: { passwordStdin?: true }) => {
      const password = await askNewPassword(cli, { name, fromStdin: options.passwordStdin === true, optional: false });
      cli.print(
        await cli.call<User>("user-password", { name, password }),
        ({ id }) => `Set the password of user ${visible(id)}.\n`,
      );
    });
}

function stateOf(user: User): string {
  return user.disabled ? "disabled" : "enabled";
}

function ended(connections: number): string {
  if (connections === 0) return "";
  return `; ended ${connections} connection${connections === 1 ? "" : "s"}`;
}

function peopleUser(user: UserDetails): string {
  const facts = details([
    ["name", user.id],
    ["state", stateOf(user)],
    ["password", user.hasPassword ? "set" : "none"],
    ["created", localTime(user.createdAt)],
    ["group", user.group],
  ]);
  const rows = Object.entries(user.effectiveProperties).map(([key, value]) => [
    key,
    value,
    Object.hasOwn(user.properties, key) ? "user" : "inherited",
  ]);
  return rows.length === 0 ? facts : `${facts}\n${table(["PROPERTY", "VALUE", "FROM"], rows)}`;
}
