import { readTicketEcho } from "@sallyport/protocol";
import { AgentFailure } from "../failure.ts";
import { onOneLine } from "../fit-for-terminal.ts";
import type { NameServers } from "../machine/name-servers.ts";
import { quoteWord } from "../profile/words.ts";
import type { Answers, Tunnel, TunnelEvents } from "../tunnel/tunnel.ts";
import { Credentials } from "./credentials.ts";
import { connectManagement, type Management, type ManagementAddress } from "./management.ts";
import { type Meaning, meaningOf } from "./notices.ts";

/** An openvpn that was started for us, by us or by the privileged service. */
export type OpenVpnProcess = {
  management: ManagementAddress;
  running(): boolean;
  /** Resolves with the end of what it printed when it has ended. */
  exited: Promise<string>;
  /** For when it does not end by itself. */
  kill(): void;
};

export type SessionOptions = {
  process: OpenVpnProcess;
  answers: Answers;
  events: TunnelEvents;
  /** For messages: `vpn.example.org:1194/udp`. */
  serverName: string;
  /** A first connection that no server answers is given up after it. */
  firstAnswerMs: number;
  /** That the server pushed; none, where it has none any more. */
  onNameServers: (pushed: NameServers) => void;
  /** Where the person is to sign in. */
  onSignIn: (url: string) => void;
};

const managementDeadlineMs = 10_000;
const stopDeadlineMs = 10_000;
const pendingShownMs = 2_000;

/** Speaks to one openvpn over its management interface from start to end: releases it, answers it, tells what becomes of it. */
export async function runSession(options: SessionOptions): Promise<Tunnel> {
  const session = new Session(options);
  await session.open();
  return { ended: session.ended, stop: () => session.stop() };
}

class Session {
  readonly #options: SessionOptions;
  readonly #credentials: Credentials;
  readonly #done = Promise.withResolvers<AgentFailure | undefined>();
  #management: Management | undefined;
  #failure: AgentFailure | undefined;
  #stopping = false;
  #up = false;
  #ticket: string | undefined;
  #trouble = "";
  #firstAnswer: NodeJS.Timeout | undefined;
  #answered = false;
  #pending: NodeJS.Timeout | undefined;
  /** Questions are put one after the other. */
  #asking: Promise<void> = Promise.resolve();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#credentials = new Credentials(options.answers);
  }

  get ended(): Promise<AgentFailure | undefined> {
    return this.#done.promise;
  }

  async open(): Promise<void> {
    const { process, events, serverName } = this.#options;
    void process.exited.then((lastWords) => this.#exited(lastWords));
    try {
      this.#management = await connectManagement({
        address: process.management,
        deadlineMs: managementDeadlineMs,
        stillRuns: process.running,
        onNotice: (notice) => this.#notice(notice),
        onClose: () => {
          // Without it nobody could be asked any more, and nothing be ended.
          setTimeout(() => process.running() && process.kill(), stopDeadlineMs).unref();
        },
      });
    } catch (error) {
      if (process.running()) process.kill();
      const lastWords = await process.exited;
      throw optionsError(lastWords) ?? error;
    }
    events.progress(`Connecting to ${serverName}`);
    this.#awaitFirstAnswer();
    this.#management.send("echo on", "state on", "log on", "hold off", "hold release");
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#signalEnd();
    await this.#options.process.exited;
    await this.ended;
  }

  /** SIGTERM tells the server; what does not end then is killed. */
  #signalEnd(): void {
    const { process } = this.#options;
    clearTimeout(this.#firstAnswer);
    try {
      this.#management?.send("signal SIGTERM");
    } catch {
      process.kill();
    }
    setTimeout(() => process.running() && process.kill(), stopDeadlineMs).unref();
  }

  #end(failure: AgentFailure): void {
    this.#failure ??= failure;
    this.#signalEnd();
  }

  #awaitFirstAnswer(): void {
    const { serverName, firstAnswerMs } = this.#options;
    clearTimeout(this.#firstAnswer);
    this.#firstAnswer = setTimeout(() => {
      const said = this.#trouble === "" ? "" : ` openvpn says: ${onOneLine(this.#trouble)}.`;
      const next = "Check that this machine has a network, that the address is right, and that no firewall is between.";
      this.#end(new AgentFailure("unreachable", `${serverName} does not answer.${said}`, next));
    }, firstAnswerMs);
  }

  /** There is a server. */
  #hear(): void {
    this.#answered = true;
    clearTimeout(this.#firstAnswer);
  }

  #exited(lastWords: string): void {
    clearTimeout(this.#pending);
    clearTimeout(this.#firstAnswer);
    this.#management?.close();
    this.#goDown("the connection is gone");
    const words = lastLine(lastWords) || "it does not say why";
    const why = this.#failure ?? optionsError(lastWords) ?? new AgentFailure("failed", `openvpn ended: ${words}.`);
    this.#done.resolve(this.#stopping ? undefined : why);
  }

  #goDown(reason: string): void {
    if (!this.#up) return;
    this.#up = false;
    this.#ticket = undefined;
    this.#options.events.down(reason);
  }

  #notice(notice: { source: string; text: string }): void {
    if (notice.source === "ECHO") this.#ticket = readTicketEcho(notice.text) ?? this.#ticket;
    const meaning = meaningOf(notice);
    if (meaning !== undefined && !this.#stopping) this.#act(meaning);
  }

  #act(meaning: Meaning): void {
    const { events, answers, onNameServers, onSignIn } = this.#options;
    switch (meaning.kind) {
      case "state":
        this.#state(meaning);
        break;
      case "dynamic-challenge":
        this.#credentials.challenged(meaning);
        break;
      case "refused":
        this.#refused(meaning.reason);
        break;
      case "needs-credentials":
        this.#ask(() => this.#credentials.answer(meaning.challenge));
        break;
      case "needs-key-password":
        this.#ask(async () => {
          const password = await answers.password("Password of the private key: ");
          return [`password "Private Key" ${quoteWord(password)}`];
        });
        break;
      case "text-challenge":
        this.#ask(async () => {
          const { text, echo, needed } = meaning;
          if (!needed) events.progress(onOneLine(text));
          const answer = needed ? await answers.answer({ text, echo }) : "";
          return [`cr-response ${Buffer.from(answer).toString("base64")}`];
        });
        break;
      case "web":
        events.progress(`Sign in with your browser: ${onOneLine(meaning.url)}`);
        onSignIn(meaning.url);
        break;
      case "pushed":
        onNameServers(nameServersIn(meaning.options));
        break;
      case "told":
        this.#told(meaning);
        break;
      case "fatal":
        this.#failure ??= new AgentFailure("failed", `openvpn gave up: ${onOneLine(meaning.text)}`);
        break;
      case "trouble":
        this.#trouble = meaning.text;
        break;
    }
  }

  /** What a server says when it ends a connection that was up. */
  #told({ what, reason }: { what: string; reason: string }): void {
    if (!what.includes("halt")) return;
    const said = reason === "" ? "." : `: ${onOneLine(reason)}`;
    this.#failure ??= new AgentFailure("refused", `The server ended the connection${said}`);
  }

  #state({ name, detail, ipFour, ipSix }: Extract<Meaning, { kind: "state" }>): void {
    const { events } = this.#options;
    clearTimeout(this.#pending);
    if (name === "CONNECTED") {
      this.#hear();
      this.#credentials.accepted();
      this.#goDown("the connection was made anew");
      if (detail.includes("ERROR")) events.progress("Some routes or addresses could not be set; see the agent's log.");
      this.#up = true;
      events.up({ ipFour: ipFour || undefined, ipSix: ipSix || undefined, ticket: this.#ticket });
    } else if (name === "RECONNECTING" || name === "EXITING") {
      const wasUp = this.#up;
      this.#goDown(wordsForLoss(detail));
      if (name === "RECONNECTING" && wasUp) events.progress("Reconnecting");
    } else if (name === "AUTH" || name === "GET_CONFIG" || name === "AUTH_PENDING") {
      this.#hear();
      // Servers also say so for an instant, to be heard at once.
      if (name === "AUTH_PENDING") {
        this.#pending = setTimeout(() => events.progress("Waiting for the sign-in to be confirmed"), pendingShownMs);
      }
    }
  }

  #refused(reason: string): void {
    this.#hear();
    const { events } = this.#options;
    const meaning = this.#credentials.refused(reason);
    if (meaning.kind === "end") this.#end(meaning.failure);
    else if (meaning.kind === "session-over") events.progress("The session is over; signing in again.");
    else if (meaning.kind === "come-back") events.progress(`The server asks to come back later: ${meaning.message}`);
    else events.progress(meaning.message);
  }

  #ask(question: () => Promise<string[]>): void {
    const answer = async () => {
      // Whoever thinks about a password is not the server being silent.
      clearTimeout(this.#firstAnswer);
      if (this.#failure !== undefined || this.#stopping) return;
      this.#management?.send(...(await question()));
      if (!this.#answered) this.#awaitFirstAnswer();
    };
    this.#asking = this.#asking.then(answer).catch((error: Error) => {
      this.#end(error instanceof AgentFailure ? error : new AgentFailure("failed", error.message));
    });
  }
}

function wordsForLoss(detail: string): string {
  // The second also when we end it ourselves, which needs no word.
  if (/server-pushed|exit-with-notification/.test(detail)) return "the server ended it";
  if (/ping-(restart|exit)/.test(detail)) return "the server fell silent";
  return detail === "" ? "it was lost" : onOneLine(detail);
}

/** In the older words of OpenVPN, and in those of 2.6 for servers that serve every name (openvpn(8), dhcp-option, dns). */
export function nameServersIn(options: readonly string[]): NameServers {
  const words = (form: RegExp) => options.flatMap((option) => form.exec(option)?.[1]?.split(" ") ?? []);
  return {
    servers: [
      ...words(/^dhcp-option DNS6? (\S+)$/),
      ...words(/^dns server -?\d+ address (.+)$/).map((address) => address.replace(/^\[(.*)\]$/, "$1")),
    ],
    search: [...words(/^dhcp-option (?:DOMAIN|DOMAIN-SEARCH) (\S+)$/), ...words(/^dns search-domains (.+)$/)],
  };
}

function optionsError(lastWords: string): AgentFailure | undefined {
  const [, what] = /Options error: (.*)/.exec(lastWords) ?? [];
  const next = "Get it anew from your administrator.";
  return what === undefined
    ? undefined
    : new AgentFailure("faulty-file", `openvpn cannot use the client config: ${onOneLine(what)}`, next);
}

function lastLine(text: string): string {
  return onOneLine(text.trim().split("\n").at(-1) ?? "").slice(0, 300);
}
