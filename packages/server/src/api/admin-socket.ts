import { isUtf8 } from "node:buffer";
import { chmod, mkdir, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import Fastify from "fastify";
import { SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { claimSocketName, hiddenNameFor, releaseSocketName } from "./claim-socket.ts";
import type { CommandTable } from "./command.ts";
import { errorAnswer } from "./error-body.ts";
import { runCommand } from "./run-command.ts";

/** Holds a script and its cases, each at its longest, with what JSON adds to their text. */
const bodyLimitBytes = 4 * 1024 * 1024;

/** How long a client may take to send its request; answers have the deadlines of what they wait for. */
const requestDeadlineMs = 30_000;

/** How long commands under way may still take when the daemon stops. */
const closeDeadlineMs = 2000;
const maxConnections = 128;

/**
 * Serves the command table as `POST /commands/<name>` on a unix socket that only its owner can open (mode 0600, in a
 * directory made 0700 where there is none). Answers are the command's result as JSON, or `{ error: { code, message,
 * next } }` with the error table's HTTP status. Bodies are never logged. Errors: `conflict` where another daemon
 * answers there, `invalid-input` where the path is too long.
 */
export async function serveAdminSocket(options: {
  path: string;
  commands: CommandTable;
  log: Log;
}): Promise<{ close(): Promise<void> }> {
  const { path, commands, log } = options;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const app = Fastify({ bodyLimit: bodyLimitBytes, requestTimeout: requestDeadlineMs, forceCloseConnections: "idle" });
  app.server.maxConnections = maxConnections;

  const parseJson = app.getDefaultJsonParser("error", "error");
  app.addContentTypeParser<Buffer>("application/json", { parseAs: "buffer" }, (request, body, done) => {
    if (isUtf8(body)) parseJson(request, body.toString("utf8"), done);
    else done(new SallyportError("invalid-input", "the request is not UTF-8"));
  });
  app.setErrorHandler(async (error, _request, reply) => {
    const { httpStatus, body } = errorAnswer(error, log);
    return await reply.code(httpStatus).send(body);
  });
  app.setNotFoundHandler(() => {
    throw new SallyportError("not-found", "the admin socket answers POST /commands/NAME and nothing else");
  });
  app.post<{ Params: { name: string } }>("/commands/:name", async (request, reply) => {
    const began = performance.now();
    const { name } = request.params;
    const finished = (outcome: string) => {
      const durationMs = Math.round(performance.now() - began);
      log.info({ command: name, ...subjectOf(request.body), outcome, durationMs }, "command");
    };
    try {
      const result = await runCommand(commands, name, request.body);
      finished("done");
      return await reply.type("application/json").send(JSON.stringify(result));
    } catch (error) {
      finished(error instanceof SallyportError ? error.code : "internal");
      throw error;
    }
  });

  const hidden = hiddenNameFor(path);
  let inode: bigint;
  try {
    await app.listen({ path: hidden });
    await chmod(hidden, 0o600);
    inode = (await stat(hidden, { bigint: true })).ino;
    await claimSocketName(hidden, path);
  } catch (error) {
    await app.close();
    await rm(hidden, { force: true });
    throw error;
  }

  return {
    async close() {
      await releaseSocketName(path, inode);
      const lastCall = setTimeout(() => app.server.closeAllConnections(), closeDeadlineMs);
      await app.close();
      clearTimeout(lastCall);
    },
  };
}

/** What a command names: never what it sets, which may be a secret. */
const subjects = ["owner", "name", "user", "userId", "username", "profileId", "key", "id", "verb"];

/** What a command was about, for whoever asks at night who changed what: the names it was given, as they came. */
function subjectOf(input: unknown): { about?: Record<string, string> } {
  const given = Object.entries(Object(input)).flatMap(([key, value]): [string, string][] => {
    const { kind, name = "" } = Object(value);
    const text = key === "owner" ? `${kind} ${name}`.trim() : value;
    return subjects.includes(key) && typeof text === "string" ? [[key, text.slice(0, 100)]] : [];
  });
  return given.length === 0 ? {} : { about: Object.fromEntries(given) };
}
