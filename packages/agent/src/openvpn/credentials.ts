import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import { quoteWord } from "../profile/words.ts";
import type { Answers } from "../tunnel/tunnel.ts";

type Challenge = { stateId: string; user: string; text: string; echo: boolean; needed: boolean };

/** What a refusal of the server means for what was sent. */
export type RefusalMeaning =
  | { kind: "session-over" }
  | { kind: "try-again"; message: string }
  | { kind: "come-back"; message: string }
  | { kind: "end"; failure: AgentFailure };

const mostPasswordTries = 3;
/** OpenVPN's bound for one argument. */
const mostBytes = 255;

/** Words of servers for a wrong name or password; Sallyport's own first (docs/errors.md, wrong-credentials). */
const wrongCredentials = /^(Wrong user name or password\.?|LOCAL auth failed.*|)$/i;

/** What was given to a server so far, and what is to be given when it asks: passwords, static and dynamic challenges. */
export class Credentials {
  readonly #answers: Answers;
  #user: string | undefined;
  #password: string | undefined;
  #tries = 0;
  #challenge: Challenge | undefined;
  /** The server judged what we sent since the tunnel was last up; else a refusal is of a session token. */
  #sent = false;
  #everAccepted = false;

  constructor(answers: Answers) {
    this.#answers = answers;
  }

  /** The tunnel came up with what was given. */
  accepted(): void {
    this.#tries = 0;
    this.#sent = false;
    this.#everAccepted = true;
  }

  /** The next question is this one. */
  challenged(challenge: Challenge): void {
    this.#challenge = challenge;
  }

  /** The management interface's commands that answer a need for credentials. */
  async answer(staticChallenge: { text: string; echo: boolean } | undefined): Promise<string[]> {
    this.#sent = true;
    const challenge = this.#challenge;
    this.#challenge = undefined;
    if (challenge !== undefined) {
      const { text, echo, needed, stateId } = challenge;
      const answer = needed ? await this.#answers.answer({ text, echo }) : "";
      return commands(challenge.user || (this.#user ?? ""), `CRV1::${stateId}::${answer}`);
    }
    this.#user ??= await this.#answers.user();
    if (this.#password === undefined) {
      this.#tries += 1;
      this.#password = await this.#answers.password(`Password for ${onOneLine(this.#user)}: `);
    }
    if (staticChallenge === undefined) return commands(this.#user, this.#password);
    const answer = await this.#answers.answer(staticChallenge);
    return commands(this.#user, `SCRV1:${base64(this.#password)}:${base64(answer)}`);
  }

  /** `reason` as the server worded it; empty where it gave none. */
  refused(reason: string): RefusalMeaning {
    const said = onOneLine(reason.replace(/ \(code [0-9A-Z]{6}\)$/, ""));
    if (/^TEMP(\[|:|$)/.test(reason)) return { kind: "come-back", message: said.replace(/^TEMP(\[[^\]]*\])?:?/, "") };
    if (this.#everAccepted && !this.#sent) return { kind: "session-over" };
    if (!wrongCredentials.test(said)) {
      const code = /\(code ([0-9A-Z]{6})\)$/.exec(reason)?.[1];
      const next = code === undefined ? undefined : `Your administrator finds the details under the code ${code}.`;
      return { kind: "end", failure: new AgentFailure("refused", `The server refused the connection: ${said}`, next) };
    }
    const message = "The user name or the password is wrong.";
    this.#password = undefined;
    if (this.#answers.mayAskAgain && this.#tries < mostPasswordTries) return { kind: "try-again", message };
    const next = "Try again, or ask your administrator for a new password.";
    return { kind: "end", failure: new AgentFailure("wrong-credentials", message, next) };
  }
}

function commands(user: string, password: string): string[] {
  if (Buffer.byteLength(user) > mostBytes || Buffer.byteLength(password) > mostBytes)
    throw new AgentFailure("failed", "The user name, the password or the answer is longer than OpenVPN can pass on.");
  return [`username "Auth" ${quoteWord(user)}`, `password "Auth" ${quoteWord(password)}`];
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
