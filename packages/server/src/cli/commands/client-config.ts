import { type Command, Option } from "commander";
import type { IssuedConfig } from "../../api/commands/client-configs.ts";
import type { ClientConfig } from "../../store/store.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { localTime, table, visible } from "../for-people.ts";

type IssueOptions = { user?: string; profile: string; kind: string; out?: string; force?: true };

/** `sallyport client-config …`: the files devices get. */
export function register(program: Command, cli: Cli): void {
  const config = program.command("client-config").description("the files devices get");
  config
    .command("issue")
    .description("make a device's file; its private key is in it and is kept nowhere else")
    .option("--user <name>", "whose device it is")
    .requiredOption("--profile <id>", "the profile it connects to")
    .addOption(
      new Option("--kind <kind>", "who may use it")
        .choices(["user-locked", "auto-login", "server-locked"])
        .default("user-locked"),
    )
    .option("--out <file>", "write it to a file only its owner can read, not to standard output")
    .option("--force", "overwrite the file")
    .action(async (options: IssueOptions) => {
      if ((options.user === undefined) !== (options.kind === "server-locked")) {
        throw new UsageError("give --user, except for --kind server-locked, which belongs to nobody");
      }
      await issue(cli, options);
    });
  config
    .command("list")
    .description("client configs, revoked ones too")
    .option("--user <name>", "only this user's")
    .option("--profile <id>", "only this profile's")
    .action(async (options: { user?: string; profile?: string }) => {
      const filter = { userId: options.user, profileId: options.profile };
      cli.printList(
        await cli.call<ClientConfig[]>("client-config-list", filter),
        "There are no client configs.",
        peopleConfigs,
      );
    });
  config
    .command("revoke <id>")
    .description("refuse a device from now on, and end its connection")
    .action(async (id: string) => {
      cli.print(
        await cli.call<ClientConfig>("client-config-revoke", { id }),
        () => `Revoked client config ${visible(id)}.\n`,
      );
    });
}

async function issue(cli: Cli, options: IssueOptions): Promise<void> {
  const { claimPrivateFile } = await import("../new-file.ts");
  const { out } = options;
  const file = out === undefined ? undefined : await claimPrivateFile(out, { force: options.force === true });
  let issued: IssuedConfig;
  try {
    issued = await cli.call<IssuedConfig>("client-config-issue", {
      userId: options.user,
      profileId: options.profile,
      kind: options.kind,
    });
  } catch (error) {
    await file?.abandon();
    throw error;
  }
  if (file === undefined || out === undefined) {
    cli.print(issued, () => issued.file);
    return;
  }
  await file.write(issued.file);
  const { file: _kept, ...facts } = issued;
  cli.print({ ...facts, out }, () => `Wrote client config ${visible(issued.id)} to ${visible(out)}.\n`);
}

function peopleConfigs(configs: readonly ClientConfig[]): string {
  return table(
    ["ID", "USER", "PROFILE", "KIND", "ISSUED", "EXPIRES", "STATE"],
    configs.map((one) => [
      one.id,
      one.userId ?? "(anybody)",
      one.profileId,
      one.kind,
      localTime(one.createdAt),
      localTime(one.expiresAt),
      stateOf(one),
    ]),
  );
}

function stateOf(config: ClientConfig): string {
  if (config.revokedAt !== null) return `revoked ${localTime(config.revokedAt)}`;
  return Date.parse(config.expiresAt) <= Date.now() ? "expired" : "valid";
}
