/*
 * From a tunnel that is up to a client script that runs, in the agent: the bundle fetched over HTTPS and checked, consent
 * looked up, files written, the script started. Beside it the last part alone, and the bare start of the same process.
 * The script's first act is a signal to us.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decide } from "../packages/agent/src/consent/decide.ts";
import { ownAccount } from "../packages/agent/src/machine/account.ts";
import { ConnectionScripts } from "../packages/agent/src/scripts/connection-scripts.ts";
import { runScript } from "../packages/agent/src/scripts/run-script.ts";
import { pretendServer, script, ticket } from "../packages/agent/test/scripts/pretend-server.ts";
import { inTurns, median, numberOption, quantile, ratio, shown } from "./figures.ts";

const rounds = numberOption("rounds", 40);
const directory = await mkdtemp(join(tmpdir(), "bench-client-script-"));
const server = await pretendServer(directory);
const one = script({ text: `#!/bin/sh\nkill -USR2 ${process.pid}\n` });
server.scripts = [one];
const path = join(directory, "bare.sh");
await writeFile(path, one.text, { mode: 0o700 });

const connection = { ipFour: "10.42.0.2", ipSix: undefined, userId: "alice", profileId: "office", server: "vpn" };
const common = {
  account: await ownAccount(),
  python: "auto",
  platform: "linux",
  base: join(directory, "scripts"),
} as const;
const consent = { serverId: server.config.serverId, publicKeys: server.config.publicKeys, name: "vpn" };

/** Milliseconds until the script signals; resolves when `work` is done too. */
async function untilSignal(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  const signalled = new Promise<number>((resolve) => process.once("SIGUSR2", () => resolve(performance.now() - begun)));
  const [ms] = await Promise.all([signalled, work()]);
  return ms;
}

const contestants = {
  agent: () =>
    untilSignal(async () => {
      const scripts = new ConnectionScripts({
        ...common,
        config: server.config,
        environment: process.env,
        asksForTicket: false,
        server: "vpn",
        connectDeadlineMs: 30_000,
        disconnectDeadlineMs: 10_000,
        userScriptsRefused: undefined,
        decide: (asked, fetched) =>
          decide(asked, fetched, {
            mode: "ask",
            path: join(directory, "consent.json"),
            server: consent,
            ask: async () => "yes",
          }),
        remember: async () => undefined,
        administrator: { missing: "not here" },
        tell: () => undefined,
        log: () => undefined,
      });
      scripts.connected({ ...connection, ticket }, 0);
      await scripts.finish(60_000);
    }),
  runScript: () =>
    untilSignal(() =>
      runScript(one, {
        ...common,
        connection: { ...connection, reconnects: 0, graceful: false },
        ...{ session: {}, stdin: null, deadlineMs: 30_000, mostOutputBytes: 65_536 },
      }),
    ),
  bare: () =>
    untilSignal(() => new Promise((ended) => spawn(path, [], { stdio: "pipe", detached: true }).once("close", ended))),
};

await inTurns(5, contestants);
const results = await inTurns(rounds, contestants);
const told = (name: keyof typeof results, what: string) =>
  console.log(`${what}: p50 ${shown(median(results[name]))} ms, p90 ${shown(quantile(results[name], 0.9))} ms`);
told("agent", "tunnel up to script");
told("runScript", "files and start alone");
told("bare", "the bare process");
ratio("files and start against the bare process", median(results.runScript) / median(results.bare));
ratio("tunnel up to script against the bare process", median(results.agent) / median(results.bare));
await server[Symbol.asyncDispose]();
await rm(directory, { recursive: true });
