/** One login for PAM to judge, as it goes to a worker. */
export type PamQuestion = { service: string; username: string; password: string; clientAddress: string | null };

/** What PAM said. `code` is its return value (`_pam_types.h`), `text` its own words for it. */
export type PamAnswer = {
  code: number;
  phase: "start" | "authenticate" | "account";
  text: string;
  /** The name as the modules left it. */
  username: string | null;
  /** What modules told the person. */
  messages: string[];
  /** A question that a module asked and that only the person could have answered. */
  unanswered: string | null;
};

const success = 0;

/** Return values of Linux-PAM that are about the person; all others are about the system. */
const personal: Readonly<Record<number, string>> = {
  6: "permission denied",
  7: "wrong user name or password",
  8: "not allowed to authenticate",
  10: "there is no such user",
  11: "too many tries",
  12: "the password has expired and must be changed first",
  13: "the account has expired",
  16: "the credentials have expired",
  27: "the password has expired",
};

/** Undefined where PAM accepts the login; `wrong` or `outage` in words where it does not. */
export function refusalOf(answer: PamAnswer): { wrong: string } | { outage: string } | undefined {
  if (answer.unanswered !== null) {
    return { outage: `a module asks ${JSON.stringify(answer.unanswered)}; a password is all that can be given here` };
  }
  if (answer.code === success) return undefined;
  const said = answer.messages.length > 0 ? `: ${answer.messages.join("; ")}` : "";
  const words = personal[answer.code];
  if (words !== undefined && answer.phase !== "start") {
    return { wrong: `${answer.phase === "account" && answer.code === 7 ? "permission denied" : words}${said}` };
  }
  return { outage: `PAM failed in its ${answer.phase} phase with ${answer.text} (${answer.code})${said}` };
}
