import type { Socket } from "node:net";
import { AgentFailure } from "../failure.ts";

const mostBytes = 1024 * 1024;

/**
 * Gives the password when OpenVPN asks for it, and resolves with the notices that came meanwhile. On Windows its yes comes
 * before it has done with that line, and takes what comes too early for something else (manage.c, management_io): so it is
 * asked for its number until it tells it.
 * @throws AgentFailure where it does not answer so in time: the port may be somebody else's, or somebody else be spoken to
 */
export async function signIn(socket: Socket, password: string, deadlineMs: number): Promise<Buffer> {
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  const refuse = () =>
    failed.reject(new AgentFailure("failed", "openvpn does not answer at its management interface."));
  const late = setTimeout(refuse, deadlineMs);
  let said = "";
  let read = 0;
  let wake = () => {};
  const hear = (chunk: Buffer) => {
    said += chunk.toString("latin1");
    if (said.length > mostBytes) refuse();
    wake();
  };
  const next = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(said.slice(read));
      if (found !== null) {
        read += found.index + found[0].length;
        return found;
      }
      const more = Promise.withResolvers<void>();
      wake = more.resolve;
      await Promise.race([more.promise, failed.promise]);
    }
  };
  socket.on("data", hear).on("error", refuse).on("close", refuse);
  try {
    await next(/^ENTER PASSWORD:/);
    socket.write(`${password}\n`);
    await next(/^SUCCESS: password is correct\r?\n/);
    await next(/^>INFO:[^\n]*\n/m);
    do socket.write("pid\n");
    while ((await next(/^(SUCCESS: pid=|ERROR:)[^\n]*\n/m))[1] === "ERROR:");
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(late);
    socket.off("data", hear).off("close", refuse);
  }
  return Buffer.from(said.match(/^>[^\n]*\n/gm)?.join("") ?? "", "latin1");
}
