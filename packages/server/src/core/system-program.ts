import { spawn } from "node:child_process";

export type Ran = { ok: boolean; stdout: string; stderr: string };

/** Runs one of the system's programs with its input. Never rejects. */
export type RunProgram = (program: "ip" | "nft" | "wg", args: readonly string[], input?: string) => Promise<Ran>;

const mostErrorBytes = 256 * 1024;
/** A dump of all peers is the longest: some hundred bytes each. */
const mostOutputBytes = 512 * 1024 * 1024;

/** Nothing of ours, messages that can be read by their English, and keys as they are. */
export const systemEnvironment = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C", WG_HIDE_KEYS: "never" };

/** No shell, nothing of our environment; killed at the deadline. */
export function createRunProgram({ deadlineMs }: { deadlineMs: number }): RunProgram {
  return (program, args, input = "") =>
    new Promise((resolve) => {
      const child = spawn(program, args, { env: systemEnvironment, stdio: ["pipe", "pipe", "pipe"] });
      const output = collect(child.stdout, mostOutputBytes);
      const errors = collect(child.stderr, mostErrorBytes);
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        child.kill("SIGKILL");
      }, deadlineMs);
      const settle = (ok: boolean, fault?: string) => {
        clearTimeout(timer);
        resolve({ ok, stdout: output(), stderr: fault ?? errors().trim() });
      };
      child.once("error", (error) => settle(false, `${program} cannot be started: ${error.message}`));
      child.once("close", (status) => {
        settle(status === 0, late ? `${program} was killed after ${deadlineMs} ms` : undefined);
      });
      // It may end without having read everything.
      child.stdin.on("error", () => undefined);
      child.stdin.end(input);
    });
}

function collect(stream: NodeJS.ReadableStream, mostBytes: number): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    if (bytes < mostBytes) chunks.push(chunk);
    bytes += chunk.length;
  });
  return () => Buffer.concat(chunks).toString("utf8");
}
