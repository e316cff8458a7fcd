import type { HookEvent } from "../hook.ts";
import type { JsonObject, JsonValue } from "../json.ts";
import { type Arguments, readRequest } from "./arguments.ts";
import { CallContext } from "./context.ts";
import { DirectoryError, type FoundEntry, ldapOf, type Search } from "./directory.ts";
import { cut, messageOf, tracebackOf } from "./failures.ts";
import { hookAnswerFrom } from "./hook-answer.ts";
import type { LoadedScript } from "./load-script.ts";
import type { Orders } from "./orders.ts";
import { CallOutput, type RunningCall, runAs } from "./output.ts";
import type { Pipe } from "./pipe.ts";
import { returnedFrom } from "./returned.ts";
import { describe, Flattening, isPlain, Unsendable } from "./values.ts";

/** What the daemon says; see runner/messages.ts in the server. */
type Message = CallMessage | { op: "found"; search: number; entries?: FoundEntry[]; error?: string } | { op: "ping" };

type CallMessage = {
  op: "call";
  id: number;
  /** Of a hook, the event alone. */
  arguments: Arguments & { event?: object };
  directory: string | null;
  deadlineMs: number;
  state: string | null;
  crstate: string | null;
  response: string | null;
};

type Options = { pipe: Pipe; orders: Orders; script: LoadedScript };

/** The calls under way in this process, all in one thread. */
export class Calls {
  readonly #options: Options;
  readonly #searches = new Map<number, { resolve: (entries: FoundEntry[]) => void; reject: (error: Error) => void }>();
  #lastSearch = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  receive(given: unknown): void {
    const message = given as Message;
    if (message.op === "ping") this.#options.pipe.send({ op: "pong" });
    else if (message.op === "found") this.#answerSearch(message);
    else {
      const call = new Call(message, this.#options);
      const search: Search = (query) => this.#search(message.id, query);
      runAs(call, () => void call.run(search));
    }
  }

  #search(id: number, query: Parameters<Search>[0]): Promise<FoundEntry[]> {
    this.#lastSearch += 1;
    const search = this.#lastSearch;
    this.#options.pipe.send({ op: "search", id, search, query });
    return new Promise((resolve, reject) => this.#searches.set(search, { resolve, reject }));
  }

  #answerSearch({ search, entries = [], error }: Extract<Message, { op: "found" }>): void {
    const asked = this.#searches.get(search);
    this.#searches.delete(search);
    if (error === undefined) asked?.resolve(entries);
    else asked?.reject(new DirectoryError(error));
  }
}

/** One call, answered once. */
class Call implements RunningCall {
  readonly #message: CallMessage;
  readonly #options: Options;
  readonly #output: CallOutput;
  readonly #deadline: number;
  #isOver = false;

  constructor(message: CallMessage, options: Options) {
    this.#message = message;
    this.#options = options;
    this.#deadline = performance.now() + message.deadlineMs;
    const { id } = message;
    this.#output = new CallOutput(options.orders.maxOutputBytes, (text) => {
      options.pipe.sendNow({ op: "printed", id, text });
    });
  }

  print(text: string): boolean {
    if (!this.#isOver) this.#output.print(text);
    return !this.#isOver;
  }

  fail(error: unknown): boolean {
    const message = cut(messageOf(error));
    return this.#answer({ op: "raised", message, traceback: tracebackOf(error) });
  }

  async run(search: Search): Promise<void> {
    const { script } = this.#options;
    let context: CallContext | undefined;
    try {
      context = this.#context(search);
      if ("tell" in script) {
        const answer = await script.tell(this.#message.arguments.event as HookEvent, context);
        if (!this.#isOver) this.#answer({ op: "returned", value: hookAnswerFrom(answer), state: null });
        return;
      }
      const request = readRequest(this.#message.arguments);
      const answer = await script.decide(request, context);
      if (!this.#isOver) this.#answer({ op: "returned", ...this.#judgeable(answer, context) });
    } catch (error) {
      if (error instanceof Unsendable) this.#answer({ op: "unsendable", message: cut(error.message) });
      else if (context?.gaveUp(error)) this.#answer({ op: "timed-out" });
      else this.fail(error);
    }
  }

  #context(search: Search): CallContext {
    const { arguments: given, directory, response, state, crstate } = this.#message;
    const { script } = this.#options;
    return new CallContext({
      settings: "settings" in script ? script.settings : {},
      info: given.info ?? { auth_method: "" },
      ldap: directory === null ? undefined : ldapOf(given.info, directory, search),
      deadline: this.#deadline,
      print: (text) => this.print(text),
      response: response ?? undefined,
      state: thaw(crstate, "ctx.state"),
      session: thaw(state, "ctx.session"),
    });
  }

  /** The answer in plain JSON, and what is to be kept. */
  #judgeable(answer: unknown, { state, session }: CallContext) {
    const { maxResultBytes } = this.#options.orders;
    const flattening = new Flattening(maxResultBytes);
    const { value, challenge } = returnedFrom(answer, this.#message.arguments, flattening);
    const kept = { value, state: freeze(session, "ctx.session", flattening) };
    return challenge === null ? kept : { ...kept, challenge, crstate: freeze(state, "ctx.state", flattening) };
  }

  #answer(answer: object): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#options.pipe.send({ id: this.#message.id, ...answer, printed: this.#output.rest() });
    return true;
  }
}

/** As text, or null where there is nothing to keep. */
function freeze(value: unknown, place: string, flattening: Flattening): string | null {
  if (value === undefined || value === null) return null;
  if (!isPlain(value)) throw new Unsendable(`${place} is ${describe(value)}; it must be an object`);
  const plain = flattening.flatten(value, place) as JsonObject;
  return Object.keys(plain).length === 0 ? null : JSON.stringify(plain);
}

function thaw(text: string | null, place: string): JsonObject {
  if (text === null) return {};
  let kept: JsonValue | undefined;
  try {
    kept = JSON.parse(text);
  } catch {
    // Another version of the script, in another language, kept it.
  }
  if (isPlain(kept)) return kept as JsonObject;
  throw new Error(`${place} was kept by another version of the script and cannot be read`);
}
