/** Who must act: the person at the keyboard, an administrator's rule, something broken, or whoever typed the command. */
type Kind = "user" | "policy" | "outage" | "usage";

type ErrorEntry = {
  kind: Kind;
  httpStatus: number;
  /** What it means, for docs/errors.md and `explain`. */
  meaning: string;
  /** What the administrator does next. */
  next: string;
  /** What the refused person reads, where this code can refuse a connection. */
  clientReason: string | null;
};

const denial = (kind: Kind, httpStatus: number, clientReason: string, meaning: string, next: string): ErrorEntry => ({
  kind,
  httpStatus,
  meaning,
  next,
  clientReason,
});
const fault = (kind: Kind, httpStatus: number, meaning: string, next: string): ErrorEntry => ({
  kind,
  httpStatus,
  meaning,
  next,
  clientReason: null,
});

/** The one table of errors. Codes are stable: logs, scripts and other programs compare against them. */
export const errorTable = {
  "credentials-missing": denial(
    "user",
    401,
    "A user name and a password are required.",
    "No user name or no password was sent where both are needed.",
    "Issue an auto-login client config if the device has nobody to type them.",
  ),
  "credentials-malformed": denial(
    "user",
    400,
    "The user name or password could not be read.",
    "A name or password holds a NUL byte, broken UTF-8 or a malformed challenge answer, or is too long.",
    "Have the user type them again; a client that keeps doing this is broken.",
  ),
  "wrong-credentials": denial(
    "user",
    401,
    "Wrong user name or password.",
    "The auth method did not accept the user name and password.",
    "Set a new password with `sallyport user password NAME`.",
  ),
  "locked-out": denial(
    "user",
    429,
    "Too many wrong attempts. Please try again later.",
    "Too many wrong credentials came for this user or from this address; it ends by itself.",
    "The reason says until when; how many are allowed is lockOut in the configuration. authcli is never locked out.",
  ),
  "too-many-connections": denial(
    "policy",
    403,
    "You are connected too often. Please disconnect another device first.",
    "The user has as many connections as prop_max_connections allows.",
    "See them with `sallyport connection list --user NAME`, end one, or raise prop_max_connections.",
  ),
  "account-disabled": denial(
    "policy",
    403,
    "This account is disabled.",
    "The account was disabled by an administrator.",
    "Let it in again with `sallyport user enable NAME`.",
  ),
  "access-denied": denial(
    "policy",
    403,
    "This account may not use the VPN.",
    "The property prop_deny is true for this user.",
    "See where it comes from with `sallyport property get --user NAME prop_deny`.",
  ),
  "certificate-missing": denial(
    "user",
    401,
    "A client certificate is required.",
    "The daemon reported no client certificate.",
    "Issue a client config with `sallyport client-config issue`.",
  ),
  "certificate-unknown": denial(
    "policy",
    403,
    "This device's configuration is not known here.",
    "The certificate was signed by our CA but is in no client config of this server.",
    "Issue a new client config for the device.",
  ),
  "certificate-revoked": denial(
    "policy",
    403,
    "This device's configuration was revoked.",
    "The client config was revoked by an administrator.",
    "Issue a new one with `sallyport client-config issue` if the device may come back.",
  ),
  "certificate-expired": denial(
    "policy",
    403,
    "This device's configuration has expired.",
    "The client certificate's time is over.",
    "Issue a new client config.",
  ),
  "certificate-other-user": denial(
    "user",
    403,
    "This device's configuration belongs to another user.",
    "A user-locked client config was used with another user's name.",
    "Issue a client config for this user.",
  ),
  "certificate-other-profile": denial(
    "user",
    403,
    "This device's configuration is for another profile.",
    "The client config was issued for another profile.",
    "Issue a client config for this profile.",
  ),
  "no-auth-method": denial(
    "outage",
    503,
    "The VPN cannot check your sign-in at the moment. Please tell your administrator.",
    "The auth method chosen for this user is not available.",
    "Check `sallyport config get auth.module.type` and the user's user_auth_type.",
  ),
  "method-unreachable": denial(
    "outage",
    503,
    "The VPN cannot check your sign-in at the moment. Please try again later.",
    "The backend of the auth method did not answer.",
    "Check that the backend is up and reachable from this server.",
  ),
  "too-busy": denial(
    "outage",
    503,
    "The VPN is busy. Please try again in a moment.",
    "More attempts wait than the bound allows.",
    "Look for a slow backend, script or hook with `sallyport attempt list`.",
  ),
  "script-missing": denial(
    "policy",
    403,
    "You may not sign in to this VPN.",
    "A post-auth script must decide (AUTH_NULL or pas_only), and none is active.",
    "Activate one with `sallyport post-auth activate NAME`.",
  ),
  "script-denied": denial(
    "policy",
    403,
    "Access was refused.",
    "A post-auth script said no.",
    "Read the trace with `sallyport explain ATTEMPT`.",
  ),
  "script-failed": denial(
    "outage",
    503,
    "The VPN cannot complete your sign-in. Please tell your administrator.",
    "A post-auth script raised an exception or its process died.",
    "Read the traceback with `sallyport explain ATTEMPT`, mend the script, `post-auth check` it.",
  ),
  "script-bad-result": denial(
    "outage",
    503,
    "The VPN cannot complete your sign-in. Please tell your administrator.",
    "A post-auth script returned something that is not a decision.",
    "The reason names the wrong value; mend the script and `post-auth test` it.",
  ),
  "script-timed-out": denial(
    "outage",
    503,
    "The VPN took too long to complete your sign-in. Please try again.",
    "A post-auth script did not answer within its deadline.",
    "Look at what the script waits for; the deadline is scripts.deadlineMs.",
  ),
  "challenge-stale": denial(
    "user",
    401,
    "This question has expired. Please sign in again.",
    "The answer to a challenge came too late, twice, or from somebody else than was asked.",
    "Have the user sign in again; a challenge waits for five minutes.",
  ),
  "session-expired": denial(
    "user",
    401,
    "Your session has expired. Please sign in again.",
    "The session's token is not known, expired, or was ended.",
    "Nothing: the user signs in again. How long a session lasts is prop_expire.",
  ),
  "challenge-unsupported": denial(
    "policy",
    403,
    "This sign-in needs a question answered, which is not possible here.",
    "A script or method asked a question where nobody can answer it.",
    "Use a client and a client config that can be asked.",
  ),
  "group-unknown": denial(
    "policy",
    403,
    "The VPN cannot place your account. Please tell your administrator.",
    "conn_group names a group that does not exist.",
    "Create it with `sallyport group add NAME`, or mend the property or script.",
  ),
  "address-invalid": denial(
    "policy",
    403,
    "The VPN cannot place your account. Please tell your administrator.",
    "conn_ip is no address, or lies outside every group subnet and the profile's ranges.",
    "Mend conn_ip, or widen the ranges.",
  ),
  "address-in-use": denial(
    "outage",
    503,
    "Your address is still in use. Please try again in a moment.",
    "The fixed address (conn_ip) is held by another connection.",
    "See who holds it with `sallyport connection list`.",
  ),
  "no-free-address": denial(
    "outage",
    503,
    "The VPN has no free address. Please tell your administrator.",
    "Every address of the range is held.",
    "Widen the profile's ranges or the group's subnets.",
  ),
  "hook-refused": denial(
    "policy",
    403,
    "Access was refused.",
    "A connect hook said no.",
    "Read what it printed with `sallyport connection show ID`.",
  ),
  "hook-failed": denial(
    "outage",
    503,
    "The VPN cannot complete your connection. Please tell your administrator.",
    "A connect hook is missing or crashed.",
    "The reason names the hook and its failure; mend it and try `sallyport hook test NAME`.",
  ),
  "hook-timed-out": denial(
    "outage",
    503,
    "The VPN took too long to complete your connection. Please try again.",
    "A connect hook did not answer within its deadline and was ended.",
    "Look at what the hook waits for, or raise its deadlineMs.",
  ),
  "connection-ended": denial(
    "user",
    409,
    "The connection ended before it was complete.",
    "The client left, or an administrator ended the connection, while it was being admitted.",
    "Nothing, unless it happens often: then clients give up waiting for something slow.",
  ),
  "server-restarting": denial(
    "outage",
    503,
    "The VPN is restarting. Please try again in a moment.",
    "The daemon was not there when the client asked; the client was told to come back.",
    "Nothing: clients come back by themselves.",
  ),
  internal: denial(
    "outage",
    500,
    "Something went wrong on the VPN server. Please tell your administrator.",
    "A fault in Sallyport itself.",
    "The log holds the details under the same id; please report it.",
  ),
  "not-found": fault("usage", 404, "The thing named does not exist.", "List what there is with the command's `list`."),
  "already-exists": fault(
    "usage",
    409,
    "Something of that name exists already.",
    "Choose another name, or delete the old one first.",
  ),
  "invalid-input": fault("usage", 400, "A value is of the wrong form.", "The message says what was expected."),
  conflict: fault("usage", 409, "The state of things forbids it.", "The message says what stands in the way."),
  "config-invalid": fault(
    "usage",
    400,
    "The configuration file has faults; none of it was applied.",
    "The message names key, line and what was expected.",
  ),
  "script-invalid": fault(
    "usage",
    400,
    "A script cannot be loaded.",
    "The message names the line; mend it and `post-auth check` it.",
  ),
  "cases-failed": fault(
    "usage",
    409,
    "A script's cases did not pass, so it was not activated.",
    "See them with `sallyport post-auth test`, or activate with --force.",
  ),
  "daemon-unreachable": fault(
    "outage",
    503,
    "The command line could not reach the daemon.",
    "Start it with `sallyport serve`, or name its configuration with --config.",
  ),
  "not-allowed": fault("usage", 403, "Only root may do this.", "Run the command as root."),
  "store-unavailable": fault(
    "outage",
    503,
    "The database cannot be read or written.",
    "Check disk space and the database's health; connections already open stay up.",
  ),
  "network-failed": denial(
    "outage",
    503,
    "The server could not set up your connection. Please tell your administrator.",
    "Routes or rules for a connection could not be put into the kernel, so it was not let in.",
    "The reason holds what nft or ip said; `sallyport doctor` checks what they need.",
  ),
  "driver-failed": fault(
    "outage",
    503,
    "A VPN daemon could not be started, reached or told something.",
    "Read its log; `sallyport doctor` checks what it needs.",
  ),
} as const satisfies Record<string, ErrorEntry>;
