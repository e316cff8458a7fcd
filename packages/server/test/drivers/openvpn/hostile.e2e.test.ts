import { join } from "node:path";
import { expect, test } from "vitest";
import { denyClient, killClient, plainCommand, questionAsText, wakeUp } from "../../../src/drivers/openvpn/commands.ts";
import { ManagementConnection } from "../../../src/drivers/openvpn/management.ts";
import type { Message } from "../../../src/drivers/openvpn/messages.ts";
import { hostileString } from "./hostile.ts";
import { keepingLog } from "./keeping-log.ts";
import { openDriverLab } from "./lab.ts";

const strings = 20_000;
const nobody = { cid: 4_000_000_000, kid: 1 };

test(`of ${strings} hostile strings the real openvpn executes nothing but the intended commands`, async () => {
  await using lab = await openDriverLab();
  const { driver, told } = lab.life();
  await driver.start(told.events);
  await driver.stop("leave");
  const said: Message[] = [];
  const connection = await ManagementConnection.open({
    socketPath: join(lab.directory, "management.sock"),
    deadlineMs: 10_000,
    onMessage: (message) => said.push(message),
    onClose: () => undefined,
    log: keepingLog(),
  });
  try {
    for (let seed = 0; seed < strings; seed++) {
      const [one, other] = [hostileString(seed), hostileString(seed + 1)];
      const question = {
        stateId: "s",
        userName: other.slice(0, 16),
        text: one,
        echo: true,
        responseRequired: true,
        waitMs: 1,
      };
      const { commands } = [
        denyClient(nobody, { reason: one, clientReason: other, knowsTemporary: true }),
        killClient(nobody.cid, { mayReturn: true, clientReason: one }),
        questionAsText(nobody, question),
      ][seed % 3] ?? { commands: [] };
      const replies = await connection.send([...commands, wakeUp(nobody), plainCommand("pid")]);
      // There is no such client: each command is refused, by its own name, and nothing else is executed in between.
      const name = commands[0]?.lines[0]?.split(" ")[0];
      expect(replies.map(({ text }) => /^(ERROR: \S+ command failed|SUCCESS: pid)/.exec(text)?.[0])).toEqual([
        `ERROR: ${name} command failed`,
        "ERROR: client-pending-auth command failed",
        "SUCCESS: pid",
      ]);
    }
    expect(said.filter(({ kind }) => kind !== "hold")).toEqual([]);
  } finally {
    connection.close();
  }
  const log = (await lab.serverLog()).split("\n");
  const executed = log.flatMap((line) => /MANAGEMENT: CMD '([a-z-]+)/.exec(line)?.[1] ?? []);
  expect(executed.length).toBeGreaterThan(3 * strings);
  const ours = ["client-deny", "client-kill", "client-pending-auth", "pid"];
  const atAttach = ["bytecount", "hold", "state", "status", "version"];
  expect(executed.filter((word) => !ours.includes(word) && !atAttach.includes(word))).toEqual([]);
  expect(executed.filter((word) => atAttach.includes(word)).length).toBeLessThan(10);
});
