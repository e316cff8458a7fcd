/**
 * The whole arrow on one screen: a real client in a network namespace connects, is asked a question, gets its address,
 * hooks fire, a script runs on the client's machine, traffic passes, it disconnects; two others are refused. Each line
 * says when it happened, in milliseconds since the client began.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { endAgents, startAgent } from "../packages/agent/test/e2e/agent-in-lab.ts";
import type { AttemptRecord } from "../packages/server/src/core/attempt.ts";
import { askedClient } from "../packages/server/test/e2e/lab/asked-client.ts";
import { startChild } from "../packages/server/test/e2e/lab/child.ts";
import type { ConnectionRow } from "../packages/server/test/e2e/lab/ledger.ts";
import { inside } from "../packages/server/test/e2e/lab/network.ts";
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

const everywhere = ["--platform", "all", "--privilege", "user"];

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
  await using lab = await openLab({
    hookBody: '[ "$VPN_EVENT$VPN_USER_ID" != Cmallory ] || exit 1',
    config: { http: { listen: "0.0.0.0:8443", publicUrl: "https://198.18.0.1:8443" } },
  });
  const told = (user: string, event: string) => (call: HookCall) =>
    call.environment.VPN_USER_ID === user && call.environment.VPN_EVENT === event;

  const attemptsOf = (user: string) => lab.json<AttemptRecord[]>(["attempt", "list", "--user", user]);

  await lab.daemon.start();
  const file = join(lab.directory, "teams.py");
  await writeFile(file, script);
  await lab.succeed(["post-auth", "add", "teams", file]);
  await lab.succeed(["post-auth", "activate", "teams"]);
  await lab.succeed(["group", "add", "eng"]);
  await lab.succeed(["property", "set", "--group", "eng", "group_subnets.0", "10.42.8.0/24"]);
  const greeting = join(lab.directory, "greeting.sh");
  const greeted = join(lab.directory, "greeted");
  await writeFile(greeting, `#!/bin/sh\necho "hello $VPN_USER_ID at $VPN_IP_FOUR" >${greeted}\n`);
  await lab.succeed(["client-script", "set", "--group", "eng", ...everywhere, "--event", "connect", greeting]);
  for (const user of ["alice", "contractor", "mallory"]) await lab.addUser(user, password);
  say("a daemon, a post-auth script that asks, a vetoing hook, and three people are ready\n");

  const ovpnText = await lab.issue("alice");
  begun = performance.now();
  console.log("alice connects");
  const alice = await startAgent(lab, {
    config: ovpnText,
    args: ["--user", "alice", "--password-stdin", "--scripts", "trust", "--allow-root"],
    input: [password, "eng"],
  });
  const asked = await until("the question", async () =>
    (await attemptsOf("alice")).flatMap(({ trace }) => trace).find(({ outcome }) => outcome === "challenged"),
  );
  say(`she is ${asked.detail} She answers: eng`);
  const [connect] = await lab.hook.called(told("alice", "C"));
  say(`the connect hook is told: VPN_USER_ID=alice VPN_IP_FOUR=${connect?.environment.VPN_IP_FOUR}`);
  const [connected] = await alice.sees(/^connected.*$/im);
  say(`the agent on her machine: ${connected}`);
  const [attempt] = await attemptsOf("alice");
  for (const { step, outcome, detail, durationMs, printed } of attempt?.trace ?? []) {
    if (outcome === "skipped") continue;
    aside(`${step}: ${detail} (${durationMs} ms)${printed ? `; printed: ${printed.trim()}` : ""}`);
  }
  await alice.sees(/^script greeting.sh: done$/m);
  say(`a client script of her group ran there: ${(await readFile(greeted, "utf8")).trim()}`);
  const pinged = await startChild(inside(alice.place, ["ping", "-c", "1", "-W", "5", lab.innerAddress]));
  await until("the ping", () => pinged.exited() !== undefined);
  say(`a ping through the tunnel is ${pinged.exited()?.status === 0 ? "answered" : "lost"}`);
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
  await endAgents();
  await sweep(run);
}
