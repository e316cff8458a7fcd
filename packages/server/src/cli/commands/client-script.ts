import { type Command, Option } from "commander";
import type {
  ListedClientScript,
  ShownClientScript,
  ShownKeys,
  ShownScope,
  ShownVariable,
} from "../../api/commands/client-scripts.ts";
import type { Cli } from "../cli.ts";
import { UsageError } from "../failure.ts";
import { details, localTime, readableBytes, table, visible, visibleLines } from "../for-people.ts";
import { diffLines, hunks } from "../line-diff.ts";
import { readTextFile } from "../read-text.ts";

type OwnerOptions = { group?: string; default?: true };
type EnvOptions = OwnerOptions & Partial<ScopeOptions> & { delete?: true };
type ScopeOptions = OwnerOptions & { platform: string; privilege: string; event: string };

/** `sallyport client-script …`: scripts for users' machines, by group, platform, privilege and event. */
export function register(program: Command, cli: Cli): void {
  const script = program.command("client-script").description("scripts for users' machines");
  addSetting(script, cli);
  addLooking(script, cli);
  addComparing(script, cli);
  addVariables(script, cli);
  addKeys(script, cli);
}

const ofOwner = (command: Command) =>
  command.option("--group <name>", "for this group").option("--default", "for everybody whose group has none");

const ofScope = (command: Command) =>
  ofOwner(command)
    .addOption(
      new Option("--platform <platform>", "which machines")
        .choices(["win", "mac", "linux", "all"])
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--privilege <privilege>", "whose rights it needs").choices(["user", "admin"]).makeOptionMandatory(),
    )
    .addOption(new Option("--event <event>", "when").choices(["connect", "disconnect"]).makeOptionMandatory());

function addSetting(script: Command, cli: Cli): void {
  ofScope(
    script.command("set <file>").description("make a file the script of its scope, from the next connect on"),
  ).action(async (file: string, options: ScopeOptions) => {
    const { userInfo } = await import("node:os");
    const { basename } = await import("node:path");
    const text = await readTextFile(file, "script");
    const by = cli.io.environment.SUDO_USER || userInfo().username;
    const stored = await cli.call<ListedClientScript>("client-script-set", {
      ...scopeOf(options),
      file: basename(file),
      text,
      by,
    });
    cli.print(stored, (one) =>
      text.trim() === ""
        ? `Nothing runs for ${words(one)} from now on, whatever the default has (version ${one.version}).\n`
        : `Version ${one.version} is live for ${words(one)}.\n`,
    );
    if (stored.privilege === "admin") await noteSwitch(cli);
  });
  ofScope(script.command("delete").description("take a script out; its versions stay")).action(
    async (options: ScopeOptions) => {
      const scope = scopeOf(options);
      cli.print(await cli.call("client-script-delete", scope), () => `Deleted the script for ${words(scope)}.\n`);
    },
  );
}

/** Administrators' scripts go nowhere while the server-wide switch is off. */
async function noteSwitch(cli: Cli): Promise<void> {
  const settings = await cli.call<{ key: string; value: string }[]>("config-list", {});
  const isOn = settings.some(({ key, value }) => key === "vpn.client.admin_scripts" && value === "true");
  if (!isOn) cli.note("It is not handed out yet: `sallyport config set vpn.client.admin_scripts true`.");
}

function addLooking(script: Command, cli: Cli): void {
  ofOwner(script.command("list").description("the scripts that are live: of one owner, or all")).action(
    async (options: OwnerOptions) => {
      const found = await cli.call<ListedClientScript[]>("client-script-list", anyOwner(options));
      cli.printList(found, "There are no client scripts.", (all) =>
        table(
          ["FOR", "PLATFORM", "PRIVILEGE", "EVENT", "NAME", "VERSION", "SIZE", "STORED", "BY", "SHA-256"],
          all.map((one) => [
            ownerWords(one.groupId),
            one.platform,
            one.privilege,
            one.event,
            one.name,
            String(one.version),
            readableBytes(one.bytes),
            localTime(one.createdAt),
            one.createdBy,
            one.sha256.slice(0, 12),
          ]),
        ),
      );
    },
  );
  ofScope(
    script.command("show [version]").description("print a script's text; the live version unless one is named"),
  ).action(async (version: string | undefined, options: ScopeOptions) => {
    const input = { ...scopeOf(options), version: version === undefined ? undefined : wholeNumber(version) };
    cli.print(await cli.call<ShownClientScript>("client-script-show", input), ({ text }) =>
      cli.io.stdout.isTTY ? visibleLines(text) : text,
    );
  });
  ofScope(script.command("versions").description("all versions of a scope")).action(async (options: ScopeOptions) => {
    const versions = await cli.call<ListedClientScript[]>("client-script-versions", scopeOf(options));
    cli.printList(versions, "There are no versions.", (all) =>
      table(
        ["VERSION", "LIVE", "NAME", "SIZE", "STORED", "BY", "SHA-256"],
        all.map((one) => [
          String(one.version),
          one.live ? "yes" : "",
          one.name,
          readableBytes(one.bytes),
          localTime(one.createdAt),
          one.createdBy,
          one.sha256.slice(0, 12),
        ]),
      ),
    );
  });
}

function addComparing(script: Command, cli: Cli): void {
  ofScope(script.command("diff [from] [to]").description("what differs: the last two versions, or those named")).action(
    async (from: string | undefined, to: string | undefined, options: ScopeOptions) => {
      const scope = scopeOf(options);
      const versions = await cli.call<ListedClientScript[]>("client-script-versions", scope);
      const latest = versions.at(-1)?.version ?? 1;
      const newer = to === undefined ? latest : wholeNumber(to);
      const older = from === undefined ? Math.max(1, newer - 1) : wholeNumber(from);
      const [before, after] = await Promise.all(
        [older, newer].map((version) => cli.call<ShownClientScript>("client-script-show", { ...scope, version })),
      );
      const lines = (one: ShownClientScript | undefined) => (one?.text ?? "").replace(/\n$/, "").split("\n");
      const diff = hunks(diffLines(lines(before), lines(after)));
      cli.print({ from: older, to: newer, diff }, () =>
        diff.length === 0
          ? `Versions ${older} and ${newer} are the same.\n`
          : `--- version ${older}\n+++ version ${newer}\n${diff.map((line) => `${visible(line)}\n`).join("")}`,
      );
    },
  );
}

function addVariables(script: Command, cli: Cli): void {
  const env = ofOwner(script.command("env [name] [value]"))
    .description("set a variable for the scripts of a scope, or list those there are")
    .addOption(new Option("--platform <platform>", "which machines").choices(["win", "mac", "linux", "all"]))
    .addOption(new Option("--privilege <privilege>", "whose rights the scripts need").choices(["user", "admin"]))
    .addOption(new Option("--event <event>", "when they run").choices(["connect", "disconnect"]))
    .option("--delete", "delete the variable");
  env.action(async (given: string | undefined, value: string | undefined, options: EnvOptions) => {
    if (given === undefined) return await listVariables(cli, options);
    const { platform, privilege, event } = options;
    if (platform === undefined || privilege === undefined || event === undefined)
      throw new UsageError("a variable belongs to a scope: give --platform, --privilege and --event");
    const scope = scopeOf({ ...options, platform, privilege, event });
    const [, left = given, right] = value === undefined ? (/^([^=]*)=(.*)$/s.exec(given) ?? []) : [];
    const content = value ?? right;
    if (options.delete === true) {
      if (content !== undefined) throw new UsageError("give either a value or --delete");
      await cli.call("client-script-env-delete", { ...scope, name: left });
      return cli.print({ ...scope, name: left }, () => `Deleted ${visible(left)} for ${words(scope)}.\n`);
    }
    if (content === undefined) throw new UsageError("give the variable's value, or --delete");
    const set = await cli.call<ShownVariable>("client-script-env-set", { ...scope, name: left, value: content });
    cli.print(set, () => `Set ${visible(left)} for ${words(scope)}.\n`);
  });
}

async function listVariables(cli: Cli, options: OwnerOptions): Promise<void> {
  const found = await cli.call<ShownVariable[]>("client-script-env-list", anyOwner(options));
  cli.printList(found, "There are no variables.", (all) =>
    table(
      ["FOR", "PLATFORM", "PRIVILEGE", "EVENT", "NAME", "VALUE"],
      all.map((one) => [ownerWords(one.groupId), one.platform, one.privilege, one.event, one.name, one.value]),
    ),
  );
}

function addKeys(script: Command, cli: Cli): void {
  const key = script.command("key").description("the key that signs what is handed out");
  key
    .command("show")
    .description("the keys, and the lines that client configs carry")
    .action(async () => cli.print(await cli.call<ShownKeys>("client-script-key-show", {}), peopleKeys));
  key
    .command("rotate")
    .description("sign with a new key from now on; the old one announces it, so that client configs go on working")
    .option("--stolen", "without announcement: client configs with older keys get no scripts any more")
    .action(async (options: { stolen?: true }) => {
      const announce = options.stolen !== true;
      const rotated = await cli.call<ShownKeys>("client-script-key-rotate", { announce });
      cli.print(rotated, () => `The key ${visible(rotated.keys.at(-1)?.id ?? "")} signs from now on.\n`);
      if (!announce)
        cli.note("Issue every client config anew: those out there run no scripts of this server any more.");
    });
}

function peopleKeys({ serverId, keys, comments }: ShownKeys): string {
  const known = table(
    ["KEY", "PUBLIC KEY", "SINCE", "ANNOUNCED", "SIGNS"],
    keys.map((one) => [
      one.id,
      one.publicKey,
      localTime(one.createdAt),
      one.announced ? "yes" : "no",
      one.current ? "yes" : "",
    ]),
  );
  const lines = Object.entries(comments).map(
    ([profile, all]) =>
      `\nIn client configs of ${visible(profile)}:\n${all.map((line) => `${visible(line)}\n`).join("")}`,
  );
  return [details([["server", serverId]]), known].join("\n") + lines.join("");
}

function scopeOf({ platform, privilege, event, ...owner }: ScopeOptions): ShownScope {
  return { groupId: groupOf(owner), platform, privilege, event } as ShownScope;
}

function groupOf({ group, default: everybody }: OwnerOptions): string | null {
  if ((group === undefined) === (everybody === undefined)) throw new UsageError("give either --group or --default");
  return group ?? null;
}

/** `groupId` is left out where neither is named: all of them. */
function anyOwner(options: OwnerOptions): { groupId?: string | null } {
  return options.group === undefined && options.default === undefined ? {} : { groupId: groupOf(options) };
}

function ownerWords(groupId: string | null): string {
  return groupId === null ? "default" : `group ${groupId}`;
}

function words({ groupId, platform, privilege, event }: ShownScope): string {
  return visible(`${ownerWords(groupId)}, ${platform}, ${privilege}, ${event}`);
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text))
    throw new UsageError(`${JSON.stringify(text)} is no version: versions count from 1`);
  return Number(text);
}
