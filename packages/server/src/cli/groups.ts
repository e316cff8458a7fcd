import type { Command } from "commander";
import type { Cli } from "./cli.ts";

/** Adds one group of commands to the program. */
export type Register = (program: Command, cli: Cli) => void;

type Group = { summary: string; load(): Promise<{ register: Register }> };

/** Every first word of a command line. A group's file is loaded only when it is the one asked for. */
export const groups: Readonly<Record<string, Group>> = {
  serve: { summary: "run the daemon", load: () => import("./commands/serve.ts") },
  setup: { summary: "make an installation where there is none", load: () => import("./commands/setup.ts") },
  user: { summary: "local accounts", load: () => import("./commands/user.ts") },
  totp: { summary: "authenticator apps of users", load: () => import("./commands/totp.ts") },
  group: { summary: "groups", load: () => import("./commands/group.ts") },
  property: { summary: "properties of users, groups and the default", load: () => import("./commands/property.ts") },
  config: { summary: "settings kept in the database", load: () => import("./commands/config.ts") },
  "post-auth": { summary: "post-auth scripts and their versions", load: () => import("./commands/post-auth.ts") },
  authcli: { summary: "one authentication, without a VPN", load: () => import("./commands/authcli.ts") },
  sacli: { summary: "Access Server's administration in its own words", load: () => import("./commands/sacli.ts") },
  import: { summary: "take over what another VPN server knew", load: () => import("./commands/import.ts") },
  "client-config": { summary: "the files devices get", load: () => import("./commands/client-config.ts") },
  "client-script": { summary: "scripts for users' machines", load: () => import("./commands/client-script.ts") },
  connection: { summary: "connections: open, past, and ending one", load: () => import("./commands/connection.ts") },
  hook: { summary: "connection hooks and their deliveries", load: () => import("./commands/hook.ts") },
  attempt: { summary: "recorded authentication attempts", load: () => import("./commands/attempt.ts") },
  doctor: { summary: "what a working server needs, checked", load: () => import("./commands/doctor.ts") },
  explain: { summary: "a decision in plain words", load: () => import("./commands/explain.ts") },
};
