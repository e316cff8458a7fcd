import { isReservedVariable } from "@sallyport/protocol";
import type { Platform } from "../interpreter/machine.ts";
import type { Account } from "../machine/account.ts";
import { isReservedOnWindows, type Variables, windowsVariables } from "./windows-environment.ts";

/** What a script is told of its connection. */
export type ConnectionFacts = {
  ipFour: string | undefined;
  ipSix: string | undefined;
  userId: string;
  profileId: string;
  /** The host that the client config names. */
  server: string;
  /** Times this run of the agent has come back after a loss. */
  reconnects: number;
  /** Disconnect: the user wanted it. */
  graceful: boolean;
};

const usualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** What is in Homebrew's directories belongs to whoever installed it: nothing for root, who gets the system's alone. */
const macPaths = {
  root: "/usr/sbin:/usr/bin:/sbin:/bin",
  user: `/opt/homebrew/bin:/opt/homebrew/sbin:${usualPath}`,
};

/** Of the user's session, for user scripts that open windows: nothing that runs or loads anything. */
const ofTheSession = ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/**
 * Defined names that no script gets: the agent's own, and those that would have another text run than the one that was
 * agreed to. Such a script is not run, because it would not do what was meant.
 */
export function refusedNames(defined: Readonly<Record<string, string>>, platform: Platform): string[] {
  return Object.keys(defined).filter(
    (name) => isReservedVariable(name) || (platform === "win" && isReservedOnWindows(name)),
  );
}

/** A script's whole environment, made from nothing. `temporary` is its own TMPDIR. */
export function scriptEnvironment(options: {
  platform: Platform;
  connection: ConnectionFacts;
  defined: Readonly<Record<string, string>>;
  account: Account;
  temporary: string;
  /** Undefined: the privileged service, which has no session. */
  session: Variables | undefined;
  /** The agent's own, of which Windows' programs need some. */
  system: Variables;
}): Record<string, string> {
  const { platform, connection, defined, account, temporary, session, system } = options;
  const { PREPATH, ...others } = defined;
  const prepath = PREPATH ?? "";
  const own =
    platform === "win"
      ? windowsVariables({ account, temporary, session, system, prepath })
      : unixVariables({ onMac: platform === "mac", account, temporary, session, prepath });
  return {
    ...(session && platform !== "win" && present(session, ofTheSession)),
    ...others,
    ...(PREPATH !== undefined && { PREPATH }),
    ...own,
    N_RECONNECTS: String(connection.reconnects),
    GRACEFUL_DISCONNECT: connection.graceful ? "1" : "0",
    ...(connection.ipFour !== undefined && { VPN_IP_FOUR: connection.ipFour }),
    ...(connection.ipSix !== undefined && { VPN_IP_SIX: connection.ipSix }),
    VPN_USER_ID: connection.userId,
    VPN_PROFILE_ID: connection.profileId,
    VPN_SERVER: connection.server,
  };
}

function unixVariables(given: {
  onMac: boolean;
  account: Account;
  temporary: string;
  session: Variables | undefined;
  prepath: string;
}): Record<string, string> {
  const { onMac, account, temporary, session, prepath } = given;
  const lang = session?.LANG ?? "";
  const path = onMac ? macPaths[account.isRoot ? "root" : "user"] : usualPath;
  return {
    HOME: account.home,
    USER: account.name,
    LOGNAME: account.name,
    PATH: prepath === "" ? path : `${prepath}:${path}`,
    LANG: /^[A-Za-z0-9_.@-]{1,40}$/.test(lang) ? lang : onMac ? "en_US.UTF-8" : "C.UTF-8",
    TMPDIR: temporary,
  };
}

function present(all: Variables, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]]])));
}
