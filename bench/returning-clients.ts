/*
 * Stock openvpn clients that stay, and connect again as soon as they are in (SIGUSR1). Starting a client costs ten times
 * what its handshake does, and on one machine that would be most of what is measured.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Place } from "../packages/server/test/e2e/lab/network.ts";
import { type Lab, until } from "../packages/server/test/e2e/lab.ts";

/** openvpn waits for a second before it tries again; more clients than the server can take in that time keep it busy. */
const betweenTries = ["--connect-retry", "1", "1"];

export type ReturningClients = {
  /** Has everybody come back again and again for so long: how many were let in a second, and in all. */
  connectFor(seconds: number): Promise<{ aSecond: number; inAll: number }>;
  end(): Promise<void>;
};

export async function returningClients(options: {
  lab: Lab;
  place: Place;
  ovpnText: string;
  name: string;
  count: number;
}): Promise<ReturningClients> {
  const { lab, place, name, count } = options;
  const home = await mkdtemp(join(lab.directory, "returning-"));
  const config = join(home, "client.ovpn");
  // A token in place of the password would be another kind of sign-in.
  await writeFile(config, `${options.ovpnText}\npull-filter ignore "auth-token"\n`, { mode: 0o600 });
  let connected = 0;
  let returning = false;
  const idle = new Set<ChildProcess>();
  const ended: Promise<void>[] = [];

  const start = async (number: number): Promise<ChildProcess> => {
    const credentials = join(home, `${number}`);
    await writeFile(credentials, `${name}-${number}\nnot asked for\n`, { mode: 0o600 });
    const child = spawn(
      "nsenter",
      [
        `--net=/run/netns/${place.name}`,
        ...["openvpn", "--config", config, "--dev", "null", "--ifconfig-noexec", "--route-noexec", ...betweenTries],
        ...["--auth-user-pass", credentials, "--verb", "2"],
      ],
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    ended.push(new Promise((resolve) => child.once("close", () => resolve())));
    let log = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4_000);
      if (!log.includes("Initialization Sequence Completed")) return;
      log = "";
      connected += 1;
      if (returning) child.kill("SIGUSR1");
      else idle.add(child);
    });
    return child;
  };

  const children: ChildProcess[] = [];
  for (let number = 0; number < count; number++) {
    children.push(await start(number));
    // Their start is not measured, and all at once would only be in each other's way.
    if (number % 10 === 9)
      await until(`${number - 20} clients`, () => connected >= number - 20, { deadlineMs: 120_000 });
  }
  await until(`${count} clients`, () => idle.size === count, { deadlineMs: 120_000 });
  return {
    async connectFor(seconds) {
      const atFirst = connected;
      returning = true;
      for (const child of idle) child.kill("SIGUSR1");
      idle.clear();
      // The first wave comes a second later.
      await pause(2_500);
      const before = connected;
      const began = performance.now();
      await pause(seconds * 1_000);
      const aSecond = ((connected - before) * 1_000) / (performance.now() - began);
      returning = false;
      await until("everybody to be in again", () => idle.size === count, { deadlineMs: 120_000 });
      return { aSecond, inAll: connected - atFirst };
    },
    async end() {
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(ended);
    },
  };
}
