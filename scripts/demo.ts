/**
 * The whole arrow on one screen: a real client in a network namespace connects, is decided about, gets its address,
 * hooks fire, traffic passes, it disconnects. Each line says when it happened, in milliseconds since the client began.
 */
import { resolve } from "node:path";
import type { AttemptRecord } from "../packages/server/src/core/attempt.ts";
import { type ConnectionRow, commonNameOf } from "../packages/server/test/e2e/lab/ledger.ts";
import { type HookCall, openLab } from "../packages/server/test/e2e/lab.ts";
import { beginRun, sweep } from "../packages/server/test/test-run.ts";

const script = resolve(import.meta.dirname, "../packages/server/test/fixtures/post-auth/office_gate.py");
const password = "correct horse battery staple";

let begun = performance.now();
const say = (text: string) =>
  console.log(
    `${Math.round(performance.now() - begun)
      .toString()
      .padStart(7)} ms  ${text}`,
  );

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

  console.log("A daemon, a post-auth script, a vetoing hook, and three people with a client config each.");
  await lab.daemon.start();
  await lab.succeed(["post-auth", "add", "office-gate", script]);
  await lab.succeed(["post-auth", "activate", "office-gate"]);
  await lab.succeed(["group", "add", "eng"]);
  await lab.succeed(["property", "set", "--group", "eng", "group_subnets.0", "10.42.8.0/24"]);
  const configs = new Map<string, string>();
  for (const user of ["engineer", "contractor", "mallory"]) {
    await lab.addUser(user, password);
    configs.set(user, await lab.issue(user));
  }
  const start = async (user: string) => {
    const ovpnText = configs.get(user) ?? "";
    console.log(`\n${user} connects with ${commonNameOf(ovpnText)}`);
    begun = performance.now();
    return lab.client({ ovpnText, user, password });
  };

  const client = await start("engineer");
  const [connect] = await lab.hook.called(told("engineer", "C"));
  say(`the hook was told: ${connect?.environment.VPN_USER_ID} has ${connect?.environment.VPN_IP_FOUR}`);
  await client.connected();
  say(`connected, with ${(await client.addresses()).ipv4}`);
  const [attempt] = await lab.json<AttemptRecord[]>(["attempt", "list", "--user", "engineer"]);
  for (const step of attempt?.trace ?? []) {
    console.log(`            ${step.step}: ${step.detail ?? step.outcome} (${step.durationMs} ms)`);
    if (step.printed) console.log(`              printed: ${step.printed.trim()}`);
  }
  say(`a ping through the tunnel: ${(await client.ping(lab.innerAddress)) ? "answered" : "lost"}`);
  await client.stop();
  const [end] = await lab.hook.called(told("engineer", "D"));
  const { VPN_BYTES_IN, VPN_BYTES_OUT, VPN_DISCONNECT_REASON } = end?.environment ?? {};
  say(`gone (${VPN_DISCONNECT_REASON}): ${VPN_BYTES_IN} bytes from it, ${VPN_BYTES_OUT} to it; the hook was told`);

  for (const user of ["contractor", "mallory"]) {
    const refused = await start(user);
    say(`refused, and reads: ${await refused.refused()}`);
    await refused.stop();
  }
  const rows = await lab.json<ConnectionRow[]>(["connection", "log"]);
  console.log("\nThe ledger:");
  for (const { userId, endReason, endDetail, ipv4 } of rows) {
    console.log(`            ${userId} had ${ipv4}: ${endReason}${endDetail === null ? "" : `, ${endDetail}`}`);
  }
  console.log("\nWhy the contractor was refused, as `sallyport explain --user contractor --last` tells it:\n");
  console.log(
    (await lab.succeed(["explain", "--user", "contractor", "--last"])).trim().replaceAll(/^/gm, "            "),
  );
} finally {
  await sweep(run);
}
