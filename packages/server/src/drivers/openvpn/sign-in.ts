import type { Socket } from "node:net";
import { SallyportError } from "../../core/errors.ts";
import type { Secret } from "../../core/secret.ts";

const prompt = "ENTER PASSWORD:";
const mostBytes = 4_096;

/**
 * Answers the question for a password that a management socket may begin with (`ENTER PASSWORD:`, without a line end),
 * and leaves what follows in the socket. A password that nobody asks for is not sent.
 * @throws SallyportError `driver-failed` where the password is wrong, or asked for and not there, or nobody speaks in
 * time
 */
export function signIn(
  socket: Socket,
  options: { password: Secret | undefined; deadlineMs: number; name: string },
): Promise<void> {
  const { password, deadlineMs, name } = options;
  return new Promise((resolve, reject) => {
    let said = Buffer.alloc(0);
    let answered = false;
    const end = (failure?: string) => {
      clearTimeout(late);
      socket.off("data", hear).off("close", closed).off("error", closed);
      socket.pause();
      if (failure === undefined) {
        if (said.length > 0) socket.unshift(said);
        return resolve();
      }
      socket.destroy();
      reject(new SallyportError("driver-failed", `${name} ${failure}`));
    };
    const hear = (chunk: Buffer) => {
      said = Buffer.concat([said, chunk]);
      const text = said.toString("latin1");
      if (!answered) {
        if (prompt.startsWith(text)) return text === prompt ? answer() : undefined;
        if (!text.startsWith(prompt)) return end();
        answer();
      }
      const line = text.slice(prompt.length).split("\n")[0] ?? "";
      if (text.includes("\n")) {
        said = said.subarray(prompt.length + line.length + 1);
        end(line.startsWith("SUCCESS:") ? undefined : "does not accept the password: see passwordFile");
      } else if (said.length > mostBytes) end("says something that is not understood");
    };
    const answer = () => {
      if (password === undefined) return end("asks for a password: set passwordFile");
      answered = true;
      socket.write(`${password.reveal()}\n`);
    };
    const closed = () => end("was closed before it greeted");
    const late = setTimeout(() => end("does not answer: is it in use by another?"), deadlineMs);
    socket.on("data", hear).once("close", closed).on("error", closed);
    socket.resume();
  });
}
