import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inParallel, type Lab } from "../lab.ts";
import type { Place } from "./network.ts";

/** How it went for a client that asked once. `lost`: nobody told it anything before it gave up. */
export type Outcome = "connected" | "sent-back" | "refused" | "lost";

export type LightClient = {
  /** Milliseconds from its start, its own start-up included. */
  done: Promise<{ outcome: Outcome; ms: number; log: string }>;
  log(): string;
  end(): void;
};

export type LightClients = {
  place: Place;
  /** Starts a client that is gone as soon as it is in or out. Told to come back, it comes back where it `perseveres`. */
  start(user: string, options?: { perseveres?: boolean }): LightClient;
  /** Asks for so many users, a number of them at once; how each went. */
  all(users: readonly string[], atOnce: number): Promise<{ outcome: Outcome; ms: number; log: string }[]>;
};

/** To a server that does not know yet that a client is gone, another one from its port is that client with a new name. */
let lastPort = 10_000;

/**
 * Stock openvpn clients without a tun device, so that hundreds fit into one namespace: the whole of a sign-in, none of
 * the traffic. They end without a word to the server.
 */
export async function lightClients(lab: Lab, ovpnText: string, place?: Place): Promise<LightClients> {
  const where = place ?? (await lab.network.client());
  const home = await mkdtemp(join(lab.directory, "light-"));
  const config = join(home, "client.ovpn");
  await writeFile(config, ovpnText.replace(/^nobind\n/m, ""), { mode: 0o600 });
  const start: LightClients["start"] = (user, { perseveres = false } = {}) => {
    const credentials = join(home, user);
    writeFileSync(credentials, `${user}\nnot asked for\n`, { mode: 0o600 });
    lastPort = lastPort === 60_000 ? 10_000 : lastPort + 1;
    const started = performance.now();
    const child = spawn(
      "nsenter",
      [
        `--net=/run/netns/${where.name}`,
        ...["openvpn", "--config", config, "--dev", "null", "--ifconfig-noexec", "--route-noexec"],
        ...[
          "--lport",
          `${lastPort}`,
          "--auth-user-pass",
          credentials,
          "--verb",
          "3",
          "--connect-retry-max",
          "1",
          "--auth-retry",
          "none",
        ],
        ...(perseveres ? ["--connect-retry", "1", "5"] : ["--connect-retry-max", "1"]),
      ],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    return watch(child, started, perseveres);
  };
  return {
    place: where,
    start,
    all: (users, atOnce) => inParallel(users, atOnce, (user) => start(user).done),
  };
}

function watch(child: ChildProcess, started: number, perseveres: boolean): LightClient {
  let log = "";
  const { promise, resolve } = Promise.withResolvers<{ outcome: Outcome; ms: number; log: string }>();
  let ms = 0;
  let outcome: Outcome | undefined;
  const read = (chunk: Buffer) => {
    log += chunk.toString();
    outcome ??= outcomeOf(log, perseveres);
    if (outcome === undefined || ms > 0) return;
    ms = performance.now() - started;
    child.kill("SIGKILL");
  };
  child.stdout?.on("data", read);
  child.stderr?.on("data", read);
  child.once("close", () => resolve({ outcome: outcome ?? "lost", ms: ms || performance.now() - started, log }));
  child.once("error", (error) => resolve({ outcome: "lost", ms: performance.now() - started, log: `${log}${error}` }));
  return { done: promise, log: () => log, end: () => void child.kill("SIGKILL") };
}

function outcomeOf(log: string, perseveres: boolean): Outcome | undefined {
  if (log.includes("Initialization Sequence Completed")) return "connected";
  if (/AUTH_FAILED(?!,TEMP)/.test(log)) return "refused";
  if (/AUTH_FAILED,TEMP/.test(log) && !perseveres) return "sent-back";
  return undefined;
}
