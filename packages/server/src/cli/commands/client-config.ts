import { type Command, Option } from "commander";
import type { IssuedConfig } from "../../api/commands/client-configs.ts";
import type { ClientConfig } from "../../store/store.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { localTime, table, visible } from "../for-people.ts";
import { qrCode } from "../qr-code.ts";

type IssueOptions = {
  user?: string;
  profile: string;
  kind?: string;
  publicKey?: string;
  qr?: true;
  out?: string;
  force?: true;
};

/** `sallyport client-config …`: the files devices get. */
export function register(program: Command, cli: Cli): void {
  const config = program.command("client-config").description("the files devices get");
  config
    .command("issue")
    .description("make a device's file; its private key is in it and is kept nowhere else")
    .option("--user <name>", "whose device it is")
    .requiredOption("--profile <id>", "the profile it connects to")
    .addOption(
      new Option("--kind <kind>", "OpenVPN: who may use it (user-locked where it is left out)").choices([
        "user-locked",
        "auto-login",
        "server-locked",
      ]),
    )
    .option("--public-key <key>", "WireGuard: of a key pair that the device made; its private key stays there")
    .option("--qr", "WireGuard: show it as a QR code for the app to scan")
    .option("--out <file>", "write it to a file only its owner can read, not to standard output")
    .option("--force", "overwrite the file")
    .action(async (options: IssueOptions) => {
      if ((options.user === undefined) !== (options.kind === "server-locked")) {
        throw new UsageError("give --user, except for --kind server-locked, which belongs to nobody");
      }
      if (options.qr && options.publicKey !== undefined) {
        throw new UsageError("a QR code is for files with their private key: leave --qr or --public-key out");
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
    .command("admit <id>")
    .description("let a WireGuard device in again whose connection was ended with `connection kill`")
    .action(async (id: string) => {
      cli.print(await cli.call<ClientConfig>("client-config-admit", { id }), () => {
        return `Client config ${visible(id)} may connect again.\n`;
      });
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
      publicKey: options.publicKey,
    });
  } catch (error) {
    await file?.abandon();
    throw error;
  }
  if (options.qr && issued.protocol !== "wireguard") {
    cli.note("No QR code is shown: an OpenVPN file does not fit into one.");
  }
  const code = options.qr && issued.protocol === "wireguard" && !cli.json;
  if (file === undefined || out === undefined) {
    // Who asks for a picture wants to scan it, not to read the keys in it.
    const shown = code ? await qrCode(plain(issued.file), cli.io.stdout.isTTY) : issued.file;
    cli.print(issued, () => shown);
    return;
  }
  const { id } = issued;
  await file.write(issued.file);
  const { file: _kept, ...facts } = issued;
  const picture = code ? await qrCode(plain(issued.file), cli.io.stdout.isTTY) : "";
  cli.print({ ...facts, out }, () => `Wrote client config ${visible(id)} to ${visible(out)}.\n${picture}`);
}

/** Without comments: the fewer characters, the larger the squares that a camera has to tell apart. */
function plain(file: string): string {
  return file.replaceAll(/^(#.*)?\n/gm, "");
}

function peopleConfigs(configs: readonly ClientConfig[]): string {
  // Only WireGuard's devices are heard of apart from their connections.
  const devices = configs.some(({ protocol }) => protocol === "wireguard");
  return table(
    ["ID", "USER", "PROFILE", "KIND", "ISSUED", "EXPIRES", "STATE", ...(devices ? ["LAST SEEN", "FROM"] : [])],
    configs.map((one) => [
      one.id,
      one.userId ?? "(anybody)",
      one.profileId,
      one.protocol === "wireguard" ? "wireguard" : one.kind,
      localTime(one.createdAt),
      localTime(one.expiresAt),
      stateOf(one),
      ...(devices ? seenOf(one) : []),
    ]),
  );
}

function seenOf({ protocol, lastSeenAt, endpoint }: ClientConfig): string[] {
  if (protocol !== "wireguard") return ["", ""];
  return [lastSeenAt === undefined ? "never" : localTime(lastSeenAt), endpoint ?? ""];
}

function stateOf(config: ClientConfig): string {
  if (config.revokedAt !== null) return `${config.endReason ?? "revoked"} ${localTime(config.revokedAt)}`;
  if (Date.parse(config.expiresAt) <= Date.now()) return "expired";
  if (config.protocol === "wireguard" && config.issuedAt === undefined) return "being asked for";
  return config.awayAt === undefined ? "valid" : `kept out ${localTime(config.awayAt)}`;
}
