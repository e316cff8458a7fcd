import {
  type AgentConfig,
  type ClientScript,
  mostOutputBytes,
  type ScriptEvent,
  type ScriptReport,
} from "@sallyport/protocol";
import type { Decision } from "../consent/decide.ts";
import type { Platform, PythonChoice } from "../interpreter/machine.ts";
import type { Account } from "../machine/account.ts";
import { type FetchedBundle, fetchBundle, fetchTicket, newNonce, sendReports } from "../server/fetch-bundle.ts";
import type { AdministratorScripts } from "../service/administrator-scripts.ts";
import type { TunnelFacts } from "../tunnel/tunnel.ts";
import { refusalOf, reportOf, wordsFor } from "./report.ts";
import { runScript } from "./run-script.ts";

export type ConnectionScriptsOptions = {
  config: AgentConfig;
  account: Account;
  /** Of the user's session, and the locale. */
  environment: Readonly<Record<string, string | undefined>>;
  /** WireGuard: the server is asked for a ticket; OpenVPN pushes it. */
  asksForTicket: boolean;
  server: string;
  platform: Platform;
  python: PythonChoice;
  base: string;
  connectDeadlineMs: number;
  disconnectDeadlineMs: number;
  /** Why this account's scripts may not run here at all. */
  userScriptsRefused: string | undefined;
  decide(script: ClientScript, fetched: FetchedBundle, signal: AbortSignal): Promise<Decision>;
  /** What the bundle had, for `trust`. */
  remember(fetched: FetchedBundle): Promise<void>;
  /** Undefined: there is no privileged service here; the reason is told. */
  administrator: AdministratorScripts | { missing: string };
  tell(text: string): void;
  log(text: string): void;
};

/** So long nobody wonders what is being waited for. */
const untoldWaitMs = 1_000;

/** The scripts of one connection, from the moment it is up. */
type Connection = {
  facts: TunnelFacts;
  reconnects: number;
  fetched: FetchedBundle | undefined;
  allowed: Map<ClientScript, Decision>;
  /** Ends questions and requests when the connection is gone. */
  gone: AbortController;
};

/**
 * Runs what the server has for this machine when the tunnel comes up, and when it goes. The bundle that is fetched at
 * connect carries both events, so that disconnect needs no network; consent is asked for at connect for the same reason.
 */
export class ConnectionScripts {
  readonly #options: ConnectionScriptsOptions;
  readonly #end = new AbortController();
  #queue: Promise<void> = Promise.resolve();
  #present: Connection | undefined;
  #running = false;

  constructor(options: ConnectionScriptsOptions) {
    this.#options = options;
  }

  connected(facts: TunnelFacts, reconnects: number): void {
    const connection: Connection = {
      facts,
      reconnects,
      fetched: undefined,
      allowed: new Map(),
      gone: new AbortController(),
    };
    this.#present = connection;
    this.#inTurn(async () => {
      try {
        await this.#connect(connection);
      } catch (error) {
        // Nobody misses what was not fetched for a connection that is over.
        if (!connection.gone.signal.aborted) throw error;
      }
    });
  }

  /** `graceful`: the user wanted it. */
  disconnected(graceful: boolean): void {
    const connection = this.#present;
    this.#present = undefined;
    if (connection === undefined) return;
    connection.gone.abort();
    this.#inTurn(() => this.#disconnect(connection, graceful));
  }

  /** Resolves when everything ran, or was killed: when the time was over, or at `hurry`. */
  async finish(withinMs: number, hurry?: AbortSignal): Promise<void> {
    const { administrator, tell } = this.#options;
    const end = () => this.#end.abort();
    const late = setTimeout(end, withinMs);
    const seconds = Math.round(withinMs / 1_000);
    const patience = setTimeout(() => {
      // What was run may still be reported: that takes its own time, and is nothing to be told of.
      if (!this.#running) return;
      tell(`Scripts are still running; they are ended in ${seconds} seconds, or at once with another Ctrl-C`);
    }, untoldWaitMs);
    hurry?.addEventListener("abort", end);
    if (hurry?.aborted) end();
    await this.#queue;
    if (!("missing" in administrator)) await administrator.close(this.#end.signal.aborted ? 0 : withinMs);
    clearTimeout(late);
    clearTimeout(patience);
    hurry?.removeEventListener("abort", end);
  }

  #inTurn(work: () => Promise<void>): void {
    this.#queue = this.#queue.then(work).catch((error: unknown) => {
      const words = `scripts: ${(error as Error).message}`;
      this.#options.tell(words);
      this.#options.log(words);
    });
  }

  async #connect(connection: Connection): Promise<void> {
    const { config, asksForTicket, platform, administrator } = this.#options;
    const { signal } = connection.gone;
    if (signal.aborted) return;
    const ticket = asksForTicket ? await fetchTicket(config, signal) : connection.facts.ticket;
    if (ticket === undefined || ticket === null) return;
    const withService = !("missing" in administrator);
    const nonce = withService ? await administrator.nonce() : newNonce();
    const fetched = await fetchBundle({ config, ticket, nonce, platform, signal });
    connection.fetched = fetched;
    await this.#options.remember(fetched);
    const scripts = fetched.bundle.scripts;
    const refused =
      withService && scripts.some(({ privilege }) => privilege === "admin")
        ? await administrator.take(fetched)
        : undefined;
    for (const script of scripts) {
      if (script.privilege === "admin") {
        const reason = withService ? refused?.refused : administrator.missing;
        connection.allowed.set(script, reason === undefined ? { run: true } : { run: false, reason });
      } else connection.allowed.set(script, await this.#decide(script, connection));
    }
    await this.#runEvent("connect", connection, false);
  }

  async #decide(script: ClientScript, { fetched, gone }: Connection): Promise<Decision> {
    const { userScriptsRefused } = this.#options;
    if (userScriptsRefused !== undefined) return { run: false, reason: userScriptsRefused };
    return await this.#options.decide(script, fetched as FetchedBundle, gone.signal);
  }

  async #disconnect(connection: Connection, graceful: boolean): Promise<void> {
    if (connection.fetched !== undefined) await this.#runEvent("disconnect", connection, graceful);
  }

  async #runEvent(event: ScriptEvent, connection: Connection, graceful: boolean): Promise<void> {
    const { fetched } = connection;
    const { config, tell, log } = this.#options;
    if (fetched === undefined) return;
    this.#running = true;
    const scripts = fetched.bundle.scripts.filter((one) => one.event === event);
    const reports = await this.#runAll(scripts, connection, { event, graceful }).finally(() => {
      this.#running = false;
    });
    for (const report of reports) {
      tell(wordsFor(report));
      log(`${report.event} ${wordsFor(report)} (${report.sha256}, ${report.durationMs} ms)\n${report.output}`);
    }
    const token = fetched.bundle.report?.token;
    if (token === undefined || reports.length === 0) return;
    // The tunnel is gone by now: what the server is called inside of it leads nowhere.
    const reached = event === "disconnect" ? { ...config, address: null } : config;
    // One a request: the server takes no longer ones.
    for (const report of reports) {
      const unsent = await sendReports(reached, { token, reports: [report] }, this.#end.signal);
      if (unsent === undefined) continue;
      log(`the server was not told how scripts came out: ${unsent}`);
      break;
    }
  }

  async #runAll(
    scripts: readonly ClientScript[],
    connection: Connection,
    { event, graceful }: { event: ScriptEvent; graceful: boolean },
  ): Promise<ScriptReport[]> {
    const { allowed, facts, reconnects } = connection;
    const { administrator, tell } = this.#options;
    const reports: ScriptReport[] = [];
    let administratorsRan = false;
    for (const script of scripts) {
      const decision = allowed.get(script) ?? { run: false, reason: "nobody agreed to it" };
      if (!decision.run) reports.push(refusalOf(script, decision.reason));
      else if (script.privilege === "user") reports.push(await this.#run(script, connection, graceful));
      else if (!administratorsRan && !("missing" in administrator)) {
        administratorsRan = true;
        const { ipFour, ipSix } = facts;
        const told = {
          ...(ipFour !== undefined && { ipFour }),
          ...(ipSix !== undefined && { ipSix }),
          reconnects,
          graceful,
        };
        // Whatever becomes of them, the user's own run.
        const running = administrator.run(event, told).catch((error: Error) => error);
        const ran = await unlessAborted(running, this.#end.signal);
        if (Array.isArray(ran)) reports.push(...ran);
        else tell(`administrator scripts: ${ran?.message ?? "they did not end in time, and are not waited for"}`);
      }
    }
    return reports;
  }

  async #run(script: ClientScript, connection: Connection, graceful: boolean): Promise<ScriptReport> {
    const { account, environment, base, python, platform, server } = this.#options;
    const { facts, reconnects, fetched } = connection;
    const { userId, profileId, stdin } = (fetched as FetchedBundle).bundle;
    const { connectDeadlineMs, disconnectDeadlineMs } = this.#options;
    const outcome = await runScript(script, {
      connection: { ipFour: facts.ipFour, ipSix: facts.ipSix, userId, profileId, server, reconnects, graceful },
      ...{ account, session: environment, stdin, base, python, platform, mostOutputBytes },
      deadlineMs: script.event === "connect" ? connectDeadlineMs : disconnectDeadlineMs,
      signal: this.#end.signal,
    });
    return reportOf(script, outcome);
  }
}

/** Undefined where the signal came first. */
async function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result | undefined> {
  const aborted = Promise.withResolvers<undefined>();
  const abort = () => aborted.resolve(undefined);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  return await Promise.race([work, aborted.promise]).finally(() => signal.removeEventListener("abort", abort));
}
