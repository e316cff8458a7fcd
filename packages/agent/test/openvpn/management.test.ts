import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { connectManagement, type Management } from "../../src/openvpn/management.ts";

/** At a port, what openvpn.exe does: it answers line by line, and loses what comes before it has answered. */
let server: Server;
let sockets: Socket[] = [];
let open: Management | undefined;
let lines: string[] = [];
const notices: string[] = [];

afterEach(async () => {
  open?.close();
  open = undefined;
  for (const socket of sockets) socket.destroy();
  await new Promise((closed) => server.close(closed));
  [sockets, lines] = [[], []];
  notices.splice(0);
});

/** `answer` gives the answer to each line, the password too; it comes a while after the line. */
async function listen(answer: (line: string) => string | undefined, greeting = "ENTER PASSWORD:"): Promise<number> {
  server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.write(greeting);
    let busy = false;
    socket.on("data", (chunk) => {
      const all = chunk.toString("utf8").split("\n").slice(0, -1);
      // A real one takes such lines for others.
      if (busy || all.length > 1) return void lines.push(...all.map((line) => `lost: ${line}`));
      busy = true;
      lines.push(...all);
      setTimeout(() => {
        busy = false;
        socket.write(answer(all[0] ?? "") ?? "");
      }, 20);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

const connect = async (port: number, deadlineMs = 20_000) => {
  open = await connectManagement({
    address: { port, password: "secret" },
    ...{ deadlineMs, stillRuns: () => true, onClose: () => undefined },
    onNotice: ({ source, text }) => notices.push(`${source} ${text}`),
  });
  return open;
};
const welcome = "SUCCESS: password is correct\r\n>INFO:OpenVPN Management Interface Version 5\r\n>HOLD:Waiting:0\r\n";
const done = (line: string) =>
  line === "secret" ? welcome : line === "pid" ? "SUCCESS: pid=7\r\n" : "SUCCESS: ok\r\n";

test("at a port the password is given when it is asked for, and each line when the one before was answered", async () => {
  const management = await connect(await listen(done));
  management.send("echo on", "state on", "hold release");
  await expect.poll(() => lines, { timeout: 20_000 }).toEqual(["secret", "pid", "echo on", "state on", "hold release"]);
  expect(notices).toEqual(["INFO OpenVPN Management Interface Version 5", "HOLD Waiting:0"]);
});

test("an openvpn that takes the first line for something else is asked again", async () => {
  let asked = 0;
  const answer = (line: string) => {
    if (line === "pid") asked += 1;
    return line === "pid" && asked === 1 ? "ERROR: unknown command, enter 'help' for more options\r\n" : done(line);
  };
  const management = await connect(await listen(answer));
  management.send("state on");
  await expect.poll(() => lines, { timeout: 20_000 }).toEqual(["secret", "pid", "pid", "state on"]);
});

test("whoever does not take the password, or says nothing, is not spoken to", async () => {
  await expect(connect(await listen(() => "ERROR: bad password\r\nENTER PASSWORD:"), 300)).rejects.toMatchObject({
    kind: "failed",
    message: expect.stringContaining("does not answer"),
  });
  await new Promise((closed) => server.close(closed));
  lines = [];
  await expect(connect(await listen(done, ""), 300)).rejects.toMatchObject({ kind: "failed" });
  expect(lines).toEqual([]);
});
