import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { dirname, join, resolve } from "node:path";
import { SallyportError } from "../core/errors.ts";
import { Refusal } from "./failure.ts";
import { reasonOf } from "./read-text.ts";

const maxAnswerBytes = 256 * 1024 * 1024;

/**
 * The data directory that a configuration file names. Read leniently: a file with faults still says where the
 * running daemon is. Errors: `daemon-unreachable` where it does not.
 */
export async function dataDirectoryOf(
  configFile: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const text = await readFile(configFile, "utf8").catch((error: unknown) => {
    throw new SallyportError(
      "daemon-unreachable",
      `the configuration file ${configFile} cannot be read: ${reasonOf(error)}`,
    );
  });
  const [{ isMap, parseDocument }, { substitute }] = await Promise.all([
    import("yaml"),
    import("../config/substitute.ts"),
  ]);
  const { contents } = parseDocument(text, { logLevel: "silent", uniqueKeys: false });
  const named = isMap(contents) ? contents.get("dataDirectory") : undefined;
  if (typeof named !== "string" || named === "") {
    throw new SallyportError(
      "daemon-unreachable",
      `the configuration file ${configFile} names no dataDirectory, where the daemon would be found`,
    );
  }
  return resolve(
    dirname(configFile),
    substitute(named, environment, () => undefined),
  );
}

/**
 * Has the running daemon carry out one command. Errors: `daemon-unreachable`, `not-allowed`, or a Refusal with what
 * the daemon said.
 */
export async function callDaemon(call: {
  dataDirectory: string;
  command: string;
  input: object;
  deadlineMs: number;
}): Promise<unknown> {
  const socketPath = join(call.dataDirectory, "admin.sock");
  const body = Buffer.from(JSON.stringify(call.input));
  const answer = await post({ socketPath, path: `/commands/${call.command}`, body, deadlineMs: call.deadlineMs });
  let result: unknown;
  try {
    result = JSON.parse(answer.text);
  } catch {
    throw new SallyportError("daemon-unreachable", `what answers at ${socketPath} is not this Sallyport's daemon`);
  }
  if (answer.status >= 200 && answer.status < 300) return result;
  const { code, message, next } = (result as { error?: Record<string, unknown> } | null)?.error ?? {};
  throw new Refusal({
    code: String(code ?? "internal"),
    message: String(message ?? `the daemon answered with status ${answer.status}`),
    next: String(next ?? "Read the daemon's log."),
  });
}

function post(call: {
  socketPath: string;
  path: string;
  body: Buffer;
  deadlineMs: number;
}): Promise<{ status: number; text: string }> {
  const { socketPath, path, body, deadlineMs } = call;
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": body.length };
    const signal = AbortSignal.timeout(deadlineMs);
    const asked = request({ socketPath, path, method: "POST", headers, agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        chunks.push(chunk);
        if (size > maxAnswerBytes) asked.destroy(new Error("the daemon's answer is too long"));
      });
      response.on("error", (error) => reject(unreachable(error, call)));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    asked.on("error", (error) => reject(unreachable(error, call)));
    asked.end(body);
  });
}

function unreachable(error: Error, call: { socketPath: string; deadlineMs: number }): SallyportError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM") {
    return new SallyportError("not-allowed", `the admin socket ${call.socketPath} may not be opened by this account`);
  }
  if (code === "ENOENT" || code === "ECONNREFUSED") {
    return new SallyportError("daemon-unreachable", `no daemon answers at ${call.socketPath}`);
  }
  const late = code === "ABORT_ERR" || error.name === "TimeoutError" || error.name === "AbortError";
  const what = late ? `did not answer within ${call.deadlineMs / 1000} s` : `broke off (${error.message})`;
  return new SallyportError("daemon-unreachable", `the daemon at ${call.socketPath} ${what}`);
}
