import { createHash } from "node:crypto";
import { openEnvelope, type Sealed, type SigningKey, seal, type TrustedKeys } from "./signed-envelope.ts";

/** Where a script is meant for; `all` for every platform. A client's own is one of the others (OpenVPN's `IV_PLAT`). */
export const scriptPlatforms = ["all", "win", "mac", "linux"] as const;
export const scriptPrivileges = ["user", "admin"] as const;
export const scriptEvents = ["connect", "disconnect"] as const;
export type ScriptPlatform = (typeof scriptPlatforms)[number];
export type ScriptPrivilege = (typeof scriptPrivileges)[number];
export type ScriptEvent = (typeof scriptEvents)[number];

/** A script's text, UTF-8. */
export const mostScriptBytes = 1024 * 1024;
/** The answer of `/agent/v1/bundle`: every cell at its longest, as base64 of JSON. A longer one is not read. */
export const mostBundleBytes = 32 * 1024 * 1024;
/** What an agent should tell of one script's output; the server cuts what is longer. */
export const mostOutputBytes = 64 * 1024;
/** Outcomes that a server takes for one connection, both events together. */
export const mostReports = 64;

/** One program for the user's machine. */
export type ClientScript = {
  /** For people and reports: `open-url.py`; letters, digits, dots, hyphens, underscores and spaces. Never a path. */
  name: string;
  event: ScriptEvent;
  privilege: ScriptPrivilege;
  /** As it is defined: `all`, or the platform of the bundle. */
  platform: ScriptPlatform;
  /** Of `text` in UTF-8, lower-case hex: what consent is given to. `verifyBundle` has checked it. */
  sha256: string;
  text: string;
  /** Variables the administrator defined; names are letters, digits and underscores and do not begin with a digit. */
  environment: Readonly<Record<string, string>>;
};

/**
 * What a server has for one connection: the scripts of both events, in the order in which they run. Good for the
 * connection whose ticket was exchanged for it and for nothing else.
 */
export type Bundle = {
  id: string;
  /** ISO 8601 UTC. A bundle is checked when it arrives; its disconnect scripts run when the connection ends. */
  issuedAt: string;
  expiresAt: string;
  /** The server's installation; the same in client configs (`SALLYPORT_SERVER_ID`), and kept when keys change. */
  serverId: string;
  /** The row of the ledger. */
  connectionId: string;
  /** SHA-256 of the ticket, lower-case hex. */
  ticketSha256: string;
  /** The request's. */
  nonce: string;
  userId: string;
  profileId: string;
  /** Null: in no group. */
  group: string | null;
  /** What the scripts were chosen by. */
  platform: Exclude<ScriptPlatform, "all"> | null;
  scripts: readonly ClientScript[];
  /** `prop_cli.script_stdin`; null: none was set, standard input is empty. */
  stdin: string | null;
  /** Null: the server does not want to hear how the scripts came out. */
  report: { token: string } | null;
};

export type BundleFault =
  | "malformed"
  | "unknown-key"
  | "bad-signature"
  | "other-server"
  | "other-connection"
  | "expired"
  | "script-changed";

const purpose = "sallyport client-script bundle 1";

/** The text of `/agent/v1/bundle`'s answer. */
export function signBundle(bundle: Bundle, key: SigningKey, announcements: readonly Sealed[] = []): SignedBundle {
  return { ...seal(purpose, bundle, key), announcements };
}

export type SignedBundle = Sealed & { announcements: readonly Sealed[] };

/**
 * Reads the answer of `/agent/v1/bundle` and says whether its scripts may be looked at: signed by a pinned key (or one
 * that a pinned key announced), for this server and this connection (the ticket and the nonce that were sent), in time,
 * every text as its hash says. A fault means: run nothing. `message` is one line for the log.
 */
export function verifyBundle(
  text: string,
  expected: TrustedKeys & { ticket: string; nonce: string; now?: Date; clockSkewMs?: number },
): { bundle: Bundle; keyId: string } | { fault: BundleFault; message: string } {
  if (Buffer.byteLength(text) > mostBundleBytes) return fault("malformed", "the answer is too long for a bundle");
  const opened = openEnvelope(purpose, text, expected);
  if ("fault" in opened) return opened;
  const bundle = bundleOf(opened.payload);
  if (bundle === undefined) return fault("malformed", "what is signed is no bundle of this version");
  if (bundle.serverId !== expected.serverId)
    return fault("other-server", "the bundle is another server's, not that of the client config");
  if (bundle.ticketSha256 !== sha256(expected.ticket) || bundle.nonce !== expected.nonce)
    return fault("other-connection", "the bundle was made for another connection or another request");
  const now = (expected.now ?? new Date()).getTime();
  const skewMs = expected.clockSkewMs ?? usualClockSkewMs;
  const [from, until] = [Date.parse(bundle.issuedAt), Date.parse(bundle.expiresAt)];
  if (!(from - skewMs <= now && now <= until + skewMs))
    return fault("expired", `the bundle is good from ${bundle.issuedAt} to ${bundle.expiresAt}; check this clock`);
  const changed = bundle.scripts.find((script) => sha256(script.text) !== script.sha256);
  if (changed !== undefined) return fault("script-changed", `the text of ${changed.name} is not what its hash says`);
  return { bundle, keyId: opened.keyId };
}

const usualClockSkewMs = 60_000;

/** Lower-case hex of the SHA-256 of a text in UTF-8. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function fault(code: BundleFault, message: string): { fault: BundleFault; message: string } {
  return { fault: code, message };
}

const variableName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const scriptName = /^[A-Za-z0-9][A-Za-z0-9._ -]{0,99}$/;

/**
 * Names that nobody defines: what the agent sets, and what makes programs load or run something. Consent is to a script's
 * text; a variable that has another text run would get around it. `PREPATH` is how PATH is added to.
 */
const reservedVariables =
  /^(HOME|USER|LOGNAME|PATH|LANG|TMPDIR|N_RECONNECTS|GRACEFUL_DISCONNECT|VPN_.*|LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH|NLSPATH|LOCPATH|MALLOC_.*|IFS|ENV|BASH_.*|BASHOPTS|SHELLOPTS|SHELL|PS4|PROMPT_COMMAND|CDPATH|GLOBIGNORE|ZDOTDIR|FPATH|PYTHON.*|PERL.*|RUBY.*|NODE_.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|LUA_.*|PHPRC|PHP_INI_SCAN_DIR|GIT_.*|SSH_.*|EDITOR|VISUAL|PAGER|BROWSER|LESSOPEN|LESSCLOSE|MANPAGER|OPENSSL_.*|SSL_CERT_.*|SSLKEYLOGFILE|TERMINFO.*|TERMCAP|HOSTALIASES|RES_OPTIONS|LOCALDOMAIN|RESOLV_.*|XDG_.*|DBUS_.*|COMSPEC|PATHEXT|SYSTEMROOT|WINDIR|PSMODULEPATH|SUDO_.*|TZDIR|RSYNC_.*|TAR_OPTIONS|MAKEFLAGS|GNUMAKEFLAGS|WGETRC|CURL_HOME|AWKPATH|TCLLIBPATH|GUILE_.*|NPM_CONFIG_.*|PIP_.*|GTK_.*|QT_.*|GIO_.*|GDK_.*|DOTNET_.*|COR_.*|CORECLR_.*|COMPLUS_.*|__COMPAT_LAYER|__PYVENV_LAUNCHER__)$/i;

export const isReservedVariable = (name: string): boolean => reservedVariables.test(name);

/** Whether this can be the name of a variable. */
export const isVariableName = (name: string): boolean => variableName.test(name);
export const isScriptName = (name: string): boolean => scriptName.test(name);

/** Looks at every field, since an agent of another version may have signed otherwise. */
function bundleOf(value: unknown): Bundle | undefined {
  const one = value as Bundle;
  const isText = (field: unknown) => typeof field === "string";
  const isTextOrNull = (field: unknown) => field === null || isText(field);
  const texts = [one.id, one.issuedAt, one.expiresAt, one.serverId, one.connectionId, one.ticketSha256, one.nonce];
  const whole =
    [...texts, one.userId, one.profileId].every(isText) &&
    [one.group, one.platform, one.stdin].every(isTextOrNull) &&
    (one.platform === null || isOneOf(scriptPlatforms, one.platform)) &&
    (one.report === null || isText((one.report as { token?: unknown } | undefined)?.token)) &&
    Array.isArray(one.scripts) &&
    one.scripts.length <= 64 &&
    one.scripts.every(isScript);
  return whole ? one : undefined;
}

function isScript(script: unknown): boolean {
  if (typeof script !== "object" || script === null) return false;
  const { name, event, privilege, platform, sha256: digest, text, environment } = script as ClientScript;
  return (
    [name, digest, text].every((field) => typeof field === "string") &&
    isScriptName(name) &&
    isOneOf(scriptEvents, event) &&
    isOneOf(scriptPrivileges, privilege) &&
    isOneOf(scriptPlatforms, platform) &&
    Buffer.byteLength(text) <= mostScriptBytes &&
    typeof environment === "object" &&
    environment !== null &&
    Object.entries(environment).every(
      ([key, value]) => isVariableName(key) && typeof value === "string" && !value.includes("\0"),
    )
  );
}

function isOneOf<T extends string>(values: readonly T[], value: unknown): value is T {
  return values.includes(value as T);
}
