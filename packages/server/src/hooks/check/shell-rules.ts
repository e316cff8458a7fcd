import type { Finding } from "./finding.ts";

type Rule = { pattern: RegExp; message: string; severity?: Finding["severity"] };

/** Where a command may begin. */
const command = String.raw`(?:^|[;&|({!]|\b(?:then|do|else|elif|if|while|until)\b)\s*`;

/** What bash has and dash, Debian's /bin/sh, has not: each of these breaks, or means something else, under `#!/bin/sh`. */
export const bashisms: readonly Rule[] = [
  { pattern: new RegExp(`${command}\\[\\[(?=\\s)`), message: "[[ … ]] is bash's; use [ … ] or case" },
  {
    pattern: new RegExp(String.raw`${command}(?:\[|test)\s(?:(?!\s\]|&&|\|\||;).)*\s==\s`),
    message: "== inside [ ] is bash's; /bin/sh compares with =",
  },
  { pattern: new RegExp(`${command}function\\s+\\w`), message: "the word function is bash's; write name() { … }" },
  { pattern: /(?:^|[\s;&|])[A-Za-z_]\w*\+?=\(/, message: "arrays are bash's" },
  { pattern: /(?:^|[\s;&|])[A-Za-z_]\w*\+=(?!\()/, message: "+= is bash's; write name=$name…" },
  { pattern: /\$\{\w+\[/, message: "arrays are bash's" },
  { pattern: /\$\{\w+(?:\^|,)/, message: "changing case in an expansion is bash's; use tr" },
  { pattern: /\$\{\w+\//, message: "replacing in an expansion is bash's; use sed" },
  { pattern: /\$\{\w+:\s*[\d$(]/, message: "substrings in an expansion are bash's; use cut" },
  { pattern: /\$\{!\w/, message: "expanding a name held in a variable is bash's" },
  { pattern: /<<</, message: "<<< is bash's; use printf '%s\\n' … |" },
  { pattern: /(?:^|\s)[<>]\(/, message: "<( … ) is bash's; use a pipe or a file" },
  { pattern: /&>/, message: "&> is bash's; /bin/sh would run this in the background: use >file 2>&1" },
  { pattern: /\|&/, message: "|& is bash's; use 2>&1 |" },
  { pattern: /\$'/, message: "$'…' is bash's; use printf" },
  { pattern: /(?:^|[\s;&|])\(\(/, message: "(( … )) is bash's; use [ … ] and $(( … ))" },
  { pattern: /(?<!\$)\{\w+\.\.\w+\}/, message: "{1..3} is bash's; use seq" },
  { pattern: new RegExp(`${command}source\\s`), message: "source is bash's; /bin/sh has ." },
  {
    pattern: new RegExp(`${command}(?:declare|typeset|mapfile|readarray|shopt|pushd|popd|let|select|coproc)\\s`),
    message: "this command is bash's",
  },
  { pattern: new RegExp(`${command}read\\s+(?:-r\\s+)?-[adnNstu]`), message: "read has only -r and -p in /bin/sh" },
  { pattern: new RegExp(`${command}set\\s.*\\bpipefail\\b`), message: "pipefail is bash's" },
  { pattern: /\$\{?(?:RANDOM|UID|EUID|HOSTNAME|SECONDS|BASH\w*)\b/, message: "this variable is bash's" },
  {
    pattern: new RegExp(`${command}echo\\s+-[eE]`),
    message: "echo -e prints -e in /bin/sh; use printf",
    severity: "warning",
  },
];

const legacyNames = "EVENT|USER_ID|PROFILE_ID|CONNECTION_ID|IP_FOUR|IP_SIX|ORIGINATING_IP|PROTO|BYTES_IN|BYTES_OUT";

/** What people expect of a hook that is not so, in any shell. */
export const expectations: readonly Rule[] = [
  {
    pattern: new RegExp(`\\$\\{?(?:${legacyNames})\\b`),
    message: "hooks get this with VPN_ before it; set legacyVariableNames: true for scripts that read the bare name",
    severity: "warning",
  },
  ...Object.entries({
    common_name: "VPN_CONNECTION_ID",
    ifconfig_pool_remote_ip: "VPN_IP_FOUR",
    ifconfig_pool_remote_ip6: "VPN_IP_SIX",
    trusted_ip: "VPN_ORIGINATING_IP",
    bytes_received: "VPN_BYTES_IN",
    bytes_sent: "VPN_BYTES_OUT",
    script_type: "VPN_EVENT",
    time_duration: "VPN_DURATION_SECONDS",
  }).map(([theirs, ours]): Rule => {
    const message = `$${theirs} is OpenVPN's own; a hook gets ${ours}`;
    return { pattern: new RegExp(`\\$\\{?${theirs}\\b`), message, severity: "warning" };
  }),
];

export const noArguments: Rule = {
  pattern: /\$\{?(?:[1-9]\b|[@*])/,
  message: "hooks get no arguments; everything is in the environment and on standard input",
  severity: "warning",
};

export function findingsOf(code: string, rules: readonly Rule[]): Finding[] {
  return code
    .split("\n")
    .flatMap((line, index) =>
      rules
        .filter(({ pattern }) => pattern.test(line))
        .map(({ message, severity = "fault" }) => ({ severity, line: index + 1, message })),
    );
}
