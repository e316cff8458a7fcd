/**
 * The whole arrow on one screen: a real client in a network namespace connects, is asked a question, gets its address,
 * hooks fire, traffic passes, it disconnects; two others are refused. Each line says when it happened, in milliseconds
 * since the client began.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AttemptRecord } from "../packages/server/src/core/attempt.ts";
import { askedClient } from "../packages/server/test/e2e/lab/asked-client.ts";
import type { ConnectionRow } from "../packages/server/test/e2e/lab/ledger.ts";
import { type HookCall, openLab, until } from "../packages/server/test/e2e/lab.ts";
import { beginRun, sweep } from "../packages/server/test/test-run.ts";

const password = "correct horse battery staple";
const script = `
from pyovpn.plugin import *

def post_auth_cr(authcred, attributes, authret, info, crstate):
    if authcred["username"] == "contractor":
        authret["status"] = FAIL
        authret["client_reason"] = "Contractors may come on weekdays only."
    elif crstate.response() is None:
        crstate.challenge_post_auth(authret, "Which team are you on?", echo=True)
    else:
        print("the team is", crstate.response())
        authret["proplist"]["conn_group"] = crstate.response()
    return authret
`;

let begun = performance.now();
const say = (text: string) => console.log(`${`${Math.round(performance.now() - begun)}`.padStart(8)} ms  ${text}`);
const aside = (text: string) => console.log(`${"".padStart(13)}${text}`);

const run = await beginRun();
const interrupted = async () => {
  await sweep(run);
  process.exit(130);
};
process.once("SIGINT", () => void interrupted());
try {
  await using lab = await openLab({ hookBody: '[ "$VPN_EVENT$VPN_USER_ID" != Cmallory ] || exit 1' });
  const told = (user: string, event: string) => (call: HookCall) =>
    call.environment.VPN_USER_ID === user && call.environment.VPN_EVENT === event;

  await lab.daemon.start();
  const file = join(lab.directory, "teams.py");
  await writeFile(file, script);
  await lab.succeed(["post-auth", "add", "teams", file]);
  await lab.succeed(["post-auth", "activate", "teams"]);
  await lab.succeed(["group", "add", "eng"]);
  await lab.succeed(["property", "set", "--group", "eng", "group_subnets.0", "10.42.8.0/24"]);
  for (const user of ["alice", "contractor", "mallory"]) await lab.addUser(user, password);
  say("a daemon, a post-auth script that asks, a vetoing hook, and three people are ready\n");

  const ovpnText = await lab.issue("alice");
  begun = performance.now();
  console.log("alice connects");
  const alice = await askedClient(lab, { ovpnText, person: { user: "alice", password, answers: ["eng"] } });
  const question = await until("the question", () => alice.asked().find(({ kind }) => kind === "dynamic"));
  say(`she is asked: ${question.text} She answers: eng`);
  const [connect] = await lab.hook.called(told("alice", "C"));
  say(`the connect hook is told: VPN_USER_ID=alice VPN_IP_FOUR=${connect?.environment.VPN_IP_FOUR}`);
  await alice.connected();
  say(`she is connected with ${(await alice.addresses()).ipv4}, an address of her group`);
  const [attempt] = await lab.json<AttemptRecord[]>(["attempt", "list", "--user", "alice"]);
  for (const { step, outcome, detail, durationMs, printed } of attempt?.trace ?? []) {
    if (outcome === "skipped") continue;
    aside(`${step}: ${detail} (${durationMs} ms)${printed ? `; printed: ${printed.trim()}` : ""}`);
  }
  say(`a ping through the tunnel is ${(await alice.ping(lab.innerAddress)) ? "answered" : "lost"}`);
  await alice.stop();
  const [end] = await lab.hook.called(told("alice", "D"));
  const { VPN_BYTES_IN, VPN_BYTES_OUT, VPN_DISCONNECT_REASON } = end?.environment ?? {};
  say(`she leaves; the hook is told: ${VPN_DISCONNECT_REASON}, ${VPN_BYTES_IN} bytes in, ${VPN_BYTES_OUT} out`);

  for (const user of ["contractor", "mallory"]) {
    const text = await lab.issue(user);
    begun = performance.now();
    console.log(`\n${user} connects`);
    const answers = ["eng"];
    const client = await askedClient(lab, { ovpnText: text, person: { user, password, answers } });
    const [, reason] = await client.sees(/AUTH_FAILED,((?!CRV1).*)/);
    say(`refused, and reads: ${reason}`);
    await client.stop();
  }
  console.log("\nthe ledger");
  for (const { userId, endReason, endDetail, ipv4 } of await lab.json<ConnectionRow[]>(["connection", "log"])) {
    aside(`${userId} had ${ipv4}: ended (${endReason})${endDetail === null ? "" : `, ${endDetail}`}`);
  }
} finally {
  await sweep(run);
}
