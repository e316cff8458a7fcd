import type { Account } from "../machine/account.ts";

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

/** Ours: nobody defines these. `PREPATH` is defined, and has its meaning. */
const own = /^(HOME|USER|LOGNAME|PATH|LANG|TMPDIR|N_RECONNECTS|GRACEFUL_DISCONNECT|VPN_.*)$/;

/**
 * Names that make programs load or run something, wherever they stand: the dynamic linkers', shells' and interpreters'.
 * Consent is to a script's text; a variable that runs another text would get around it.
 */
const dangerous =
  /^(LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH|NLSPATH|LOCPATH|MALLOC_.*|IFS|ENV|BASH_.*|BASHOPTS|SHELLOPTS|SHELL|PS4|PROMPT_COMMAND|CDPATH|GLOBIGNORE|ZDOTDIR|FPATH|PYTHON.*|PERL.*|RUBY.*|NODE_.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|LUA_.*|PHPRC|PHP_INI_SCAN_DIR|GIT_.*|SSH_.*|EDITOR|VISUAL|PAGER|BROWSER|LESSOPEN|LESSCLOSE|MANPAGER|OPENSSL_.*|SSL_CERT_.*|SSLKEYLOGFILE|TERMINFO.*|TERMCAP|HOSTALIASES|RES_OPTIONS|LOCALDOMAIN|RESOLV_.*|XDG_.*|DBUS_.*|COMSPEC|PATHEXT|SYSTEMROOT|WINDIR|PSMODULEPATH|SUDO_.*|TZDIR)$/i;

/** Of the user's session, for user scripts that open windows: nothing that runs or loads anything. */
const ofTheSession = ["DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/** Defined names that no script gets; the script is not run, because it would not do what was meant. */
export function refusedNames(defined: Readonly<Record<string, string>>): string[] {
  return Object.keys(defined).filter((name) => own.test(name) || dangerous.test(name));
}

/** A script's whole environment, made from nothing. `temporary` is its own TMPDIR. */
export function scriptEnvironment(options: {
  connection: ConnectionFacts;
  defined: Readonly<Record<string, string>>;
  account: Account;
  temporary: string;
  /** Undefined: the privileged service, which has no session. */
  session: Readonly<Record<string, string | undefined>> | undefined;
}): Record<string, string> {
  const { connection, defined, account, temporary, session } = options;
  const { PREPATH, ...others } = defined;
  const path = PREPATH === undefined || PREPATH === "" ? usualPath : `${PREPATH}:${usualPath}`;
  const lang = session?.LANG ?? "";
  return {
    ...(session && present(session, ofTheSession)),
    ...others,
    ...(PREPATH !== undefined && { PREPATH }),
    HOME: account.home,
    USER: account.name,
    LOGNAME: account.name,
    PATH: path,
    LANG: /^[A-Za-z0-9_.@-]{1,40}$/.test(lang) ? lang : "C.UTF-8",
    TMPDIR: temporary,
    N_RECONNECTS: String(connection.reconnects),
    GRACEFUL_DISCONNECT: connection.graceful ? "1" : "0",
    ...(connection.ipFour !== undefined && { VPN_IP_FOUR: connection.ipFour }),
    ...(connection.ipSix !== undefined && { VPN_IP_SIX: connection.ipSix }),
    VPN_USER_ID: connection.userId,
    VPN_PROFILE_ID: connection.profileId,
    VPN_SERVER: connection.server,
  };
}

function present(all: Readonly<Record<string, string | undefined>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]]])));
}
