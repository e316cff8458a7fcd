import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { callDaemon } from "../../src/cli/daemon.ts";
import { type Child, startChild } from "../e2e/lab/child.ts";
import { sallyportProgram } from "../e2e/lab/daemon.ts";
import { inside, type Place } from "../e2e/lab/network.ts";
import { until } from "../e2e/lab.ts";

/** The real daemon, started again whenever it ends, as a service manager does. */
export type KeptDaemon = {
  /** The process that runs now, if one does. */
  pid(): number | undefined;
  /** Waits until it answers. */
  answers(deadlineMs?: number): Promise<void>;
  call<Result>(command: string, input: object): Promise<Result>;
  /** Ends that nobody brought about: with the end of what it printed. */
  ownEnds(): readonly { at: number; status: number | null; signal: string | null; words: string }[];
  /** Says that the next end is wanted, and how: SIGKILL, or SIGTERM. */
  signal(signal: "SIGKILL" | "SIGTERM"): boolean;
  /** Ends it for good, by SIGTERM. Resolves to its exit status. */
  stop(): Promise<number | null>;
  /** The end of what it printed, over its last lives. */
  output(): string;
};

const mostKept = 400_000;

export function keepDaemon(options: { server: Place; configFile: string; dataDirectory: string }): KeptDaemon {
  const { dataDirectory } = options;
  const ownEnds: { at: number; status: number | null; signal: string | null; words: string }[] = [];
  let child: Child | undefined;
  let earlier = "";
  let wanted = false;
  let stopped = false;

  const live = async () => {
    while (!stopped) {
      wanted = false;
      child = await startChild(inside(options.server, [sallyportProgram, "serve", "--config", options.configFile]));
      while (child.exited() === undefined) await pause(20);
      const { status = null, signal = null } = child.exited() ?? {};
      if (!wanted && !stopped) ownEnds.push({ at: Date.now(), status, signal, words: child.output().slice(-2_000) });
      earlier = `${earlier}${child.output()}`.slice(-mostKept);
      if (!stopped) await pause(wanted ? 30 : 250);
    }
  };
  const living = live();

  const output = () => `${earlier}${child?.exited() === undefined ? (child?.output() ?? "") : ""}`;
  const call: KeptDaemon["call"] = async (command, input) =>
    (await callDaemon({ dataDirectory, command, input, deadlineMs: 20_000 })) as never;
  return {
    pid: () => (child?.exited() === undefined ? child?.pid : undefined),
    call,
    answers: async (deadlineMs = 60_000) => {
      const ask = () =>
        call("connection-list", { limit: 1 }).then(
          () => true,
          () => false,
        );
      await until("the daemon to answer", ask, { deadlineMs, otherwise: () => output().slice(-4_000) });
    },
    ownEnds: () => ownEnds,
    signal: (signal) => {
      if (child === undefined || child.exited() !== undefined) return false;
      wanted = true;
      child.signal(signal);
      return true;
    },
    stop: async () => {
      stopped = true;
      await child?.end("SIGTERM", 30_000);
      await living;
      return child?.exited()?.status ?? null;
    },
    output,
  };
}

/** Where the daemon keeps its rows. */
export function databaseOf(dataDirectory: string): string {
  return join(dataDirectory, "sallyport.db");
}
