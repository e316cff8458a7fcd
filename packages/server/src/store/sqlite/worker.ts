import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { SallyportError } from "../../core/errors.ts";
import { queriesOver } from "../store-over.ts";
import type { SqliteEngine } from "./engine.ts";
import { Groups, type Outcome } from "./groups.ts";
import { openEngine } from "./open-engine.ts";
import type { Failure, Opening, Request, Response } from "./wire.ts";

/** The thread that has the database open, and the only one that waits for the disk. It does what it is asked in order. */

const port = parentPort;
if (port === null) throw new Error("this file is the database's thread; it is not a program");
const answer = (...responses: Response[]) => port.postMessage(responses);

function failureOf(error: unknown): Failure {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return {
    code: typeof code === "string" && code.startsWith("SQLITE_") ? code : null,
    message: String(message ?? error),
    ...(error instanceof SallyportError && { ours: error.code }),
  };
}

function responseTo({ id }: Request, outcome: Outcome): Response {
  return "result" in outcome ? { id, result: outcome.result } : { id, failure: failureOf(outcome.error) };
}

type Verb = (...args: readonly unknown[]) => Promise<unknown>;

async function serve(engine: SqliteEngine): Promise<void> {
  const queries = queriesOver(engine) as unknown as Record<string, Record<string, Verb>>;
  const groups = new Groups<Request>({
    engine,
    work: async (request) => {
      if ("close" in request) return;
      if (Date.now() > request.until)
        throw new SallyportError("store-unavailable", "The database is too slow: it did not come to this in time.");
      const verb = queries[request.noun]?.[request.verb];
      if (verb === undefined) throw new Error(`the store has no ${request.noun}.${request.verb}`);
      return await verb(...request.args);
    },
    done: (group) => answer(...group.map(({ call, outcome }) => responseTo(call, outcome))),
  });
  const waiting: Request[] = [];
  // What arrives while a group is under way belongs to it.
  const next = (): Request | undefined => {
    if (waiting.length === 0) waiting.push(...(receiveMessageOnPort(port as never)?.message ?? []));
    return waiting.shift();
  };
  let working = false;
  port?.on("message", async (requests: Request[]) => {
    waiting.push(...requests);
    if (working) return;
    working = true;
    const over = await groups.drain(next, (one) => "close" in one);
    working = false;
    if (!over) return;
    await engine.close();
    port?.close();
  });
  const shape = Object.fromEntries(Object.entries(queries).map(([noun, verbs]) => [noun, Object.keys(verbs)]));
  answer({ opened: true, shape });
}

try {
  await serve(await openEngine(workerData as Opening));
} catch (error) {
  answer({ opened: false, failure: failureOf(error) });
}
