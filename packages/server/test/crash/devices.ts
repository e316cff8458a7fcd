import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Child, startChild } from "../e2e/lab/child.ts";
import type { Place } from "../e2e/lab/network.ts";
import { until } from "../e2e/lab.ts";
import type { Random } from "./random.ts";

/** Somebody's device, which comes and goes. */
export type Device = {
  name: string;
  /** Comes and goes in ways that chance chooses, until told to stop; then it is gone, or as good as gone. */
  roam(random: Random, stopping: AbortSignal): Promise<void>;
  /**
   * Comes in once more, properly, or is told no: whatever it had before has ended as replaced, however it ended. Then it
   * leaves properly.
   */
  visit(): Promise<void>;
  /** How often it was let in so far. */
  timesIn(): number;
  end(): Promise<void>;
};

const told = {
  in: /Initialization Sequence Completed/,
  refused: /AUTH_FAILED(?!,TEMP)/,
  /** By the gate, and so after whatever this device had before was ended. */
  refusedByHook:
    /AUTH_FAILED,(Access was refused|The VPN took too long to complete your conn|The VPN cannot complete your conn)/,
};
const longestWaitMs = 6_000;

/**
 * A stock openvpn client without a tun device: the whole of a sign-in, none of the traffic, so that many fit into one
 * namespace.
 */
export async function openVpnDevice(options: {
  name: string;
  directory: string;
  place: Place;
  ovpnText: string;
  /** As openvpn words them: `198.18.0.1 1194 udp`. */
  remotes: readonly string[];
}): Promise<Device> {
  const { name, place, remotes } = options;
  const config = join(options.directory, `${name}.ovpn`);
  await writeFile(config, options.ovpnText.replaceAll(/^remote .*\n/gm, ""), { mode: 0o600 });
  let child: Child | undefined;
  let before = 0;
  const timesHere = () => child?.output().match(new RegExp(told.in, "g"))?.length ?? 0;

  const start = async (remote: string) => {
    before += timesHere();
    const openvpn = ["openvpn", "--config", config, "--dev", "null", "--ifconfig-noexec", "--route-noexec"];
    const patience = ["--connect-retry", "1", "1", "--server-poll-timeout", "4", "--auth-retry", "none"];
    const words = [...openvpn, ...patience, "--remote", ...remote.split(" ")];
    child = await startChild(["nsenter", `--net=/run/netns/${place.name}`, ...words]);
    return child;
  };
  const answered = (present: Child) =>
    told.in.test(present.output()) || told.refused.test(present.output()) || present.exited() !== undefined;

  const comeAndGo = async (random: Random, stopping: AbortSignal) => {
    // All of chance's choices at once, so that how fast things go does not change what is chosen.
    const remote = random.pick(remotes.map((one) => [one, 1] as const));
    const impatient = random.chance(0.25);
    const impatienceMs = random.between(20, 900);
    const stayMs = random.between(0, 2_500);
    const vanishes = random.chance(0.15);
    const restMs = random.between(0, 400);
    const present = await start(remote);
    const end = Date.now() + (impatient ? impatienceMs : longestWaitMs);
    while (Date.now() < end && !stopping.aborted && !answered(present)) await pause(25);
    if (!impatient && told.in.test(present.output())) await rest(stayMs, stopping);
    await present.end(vanishes ? "SIGKILL" : "SIGTERM", 3_000);
    await rest(restMs, stopping);
  };

  return {
    name,
    timesIn: () => before + timesHere(),
    end: async () => void (await child?.end("SIGKILL")),
    roam: async (random, stopping) => {
      while (!stopping.aborted) await comeAndGo(random, stopping);
    },
    visit: async () => {
      const [remote = ""] = remotes;
      const end = Date.now() + 60_000;
      for (;;) {
        const present = await start(remote);
        await until(`${name} to be let in or refused`, () => answered(present), {
          deadlineMs: 45_000,
          otherwise: present.output,
        });
        await present.end("SIGTERM", 5_000);
        const log = present.output();
        if (told.in.test(log) || told.refusedByHook.test(log)) return;
        if (Date.now() > end) throw new Error(`${name} was neither let in nor refused by a hook:\n${log}`);
      }
    },
  };
}

export async function rest(ms: number, stopping: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal: stopping }).catch(() => undefined);
}
