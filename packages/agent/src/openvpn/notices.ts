/** What a notice of a client's OpenVPN means to us. */
export type Meaning =
  | { kind: "needs-credentials"; challenge: { text: string; echo: boolean } | undefined }
  | { kind: "needs-key-password" }
  | { kind: "refused"; reason: string }
  | { kind: "dynamic-challenge"; stateId: string; user: string; text: string; echo: boolean; needed: boolean }
  | { kind: "text-challenge"; text: string; echo: boolean; needed: boolean }
  | { kind: "web"; url: string }
  | { kind: "state"; name: string; detail: string; ipFour: string; remote: string; ipSix: string }
  | { kind: "pushed"; options: readonly string[] }
  | { kind: "told"; what: string; reason: string }
  | { kind: "fatal"; text: string }
  | { kind: "trouble"; text: string };

/** Reads one notice (management-notes.txt of OpenVPN 2.6); undefined for what needs nothing done. */
export function meaningOf({ source, text }: { source: string; text: string }): Meaning | undefined {
  if (source === "PASSWORD") return passwordMeaning(text);
  if (source === "INFOMSG") return infoMeaning(text);
  if (source === "STATE") {
    const [, name = "", detail = "", ipFour = "", remote = "", , , , ipSix = ""] = text.split(",");
    return { kind: "state", name, detail, ipFour, remote, ipSix };
  }
  if (source === "NOTIFY") {
    const [, what = "", ...reason] = text.split(",");
    return { kind: "told", what, reason: reason.join(",") };
  }
  if (source === "FATAL") return { kind: "fatal", text };
  if (source === "LOG") return logMeaning(text);
  return undefined;
}

function passwordMeaning(text: string): Meaning | undefined {
  const crv1 = /^Verification Failed: '[^']*' \['CRV1:([^:]*):([^:]*):([^:]*):(.*)'\]$/s.exec(text);
  if (crv1) {
    const [, flags = "", stateId = "", user = "", question = ""] = crv1;
    return {
      kind: "dynamic-challenge",
      stateId,
      user: Buffer.from(user, "base64").toString("utf8"),
      text: question,
      ...flagsOf(flags),
    };
  }
  const refused = /^Verification Failed: '([^']*)'(?: \['(.*)'\])?$/s.exec(text);
  if (refused?.[1] === "Private Key") return { kind: "refused", reason: "The password of the private key is wrong." };
  if (refused) return { kind: "refused", reason: refused[2] ?? "" };
  const need = /^Need '([^']*)' (?:username\/)?password(?: SC:(\d+),(.*))?$/s.exec(text);
  if (need?.[1] === "Auth") {
    const [, , flags, question = ""] = need;
    const echo = (Number(flags) & 1) === 1;
    return { kind: "needs-credentials", challenge: flags === undefined ? undefined : { text: question, echo } };
  }
  return need?.[1] === "Private Key" ? { kind: "needs-key-password" } : undefined;
}

function infoMeaning(text: string): Meaning | undefined {
  const question = /^CR_TEXT:([^:]*):(.*)$/s.exec(text);
  if (question) return { kind: "text-challenge", text: question[2] ?? "", ...flagsOf(question[1] ?? "") };
  const web = /^(?:WEB_AUTH:[^:]*|OPEN_URL):(.*)$/s.exec(text);
  return web ? { kind: "web", url: web[1] ?? "" } : undefined;
}

function flagsOf(flags: string): { echo: boolean; needed: boolean } {
  const all = flags.split(",");
  return { echo: all.includes("E"), needed: all.includes("R") };
}

/** Of its log only what it says nowhere else: what was pushed, and why a server cannot be reached. */
function logMeaning(text: string): Meaning | undefined {
  const [, flags = "", ...rest] = text.split(",");
  const line = rest.join(",");
  const pushed = /^PUSH: Received control message: 'PUSH_REPLY,(.*)'$/s.exec(line);
  if (pushed) return { kind: "pushed", options: (pushed[1] ?? "").split(",") };
  const trouble =
    /^(RESOLVE: Cannot resolve host address: [^ ]*|.*(?:Connection refused|Network is unreachable|No route to host).*|TLS Error: TLS key negotiation failed.*|VERIFY ERROR.*|Options error: .*|OpenSSL: error.*|AUTH: Received control message: AUTH_FAILED,TEMP.*)/.exec(
      line,
    );
  if (trouble) return { kind: "trouble", text: line };
  return flags.includes("F") ? { kind: "fatal", text: line } : undefined;
}
