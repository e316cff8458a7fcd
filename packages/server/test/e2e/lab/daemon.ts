import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { until } from "../../waiting.ts";
import { type Child, startChild } from "./child.ts";
import { inside, type Network } from "./network.ts";

const checkout = resolve(import.meta.dirname, "../../../../..");
export const sallyportProgram = resolve(checkout, "bin/sallyport");

/** What a command of the command line printed, and its exit status. */
export type CommandResult = { status: number; stdout: string; stderr: string };

/** The real daemon, in the server's namespace. */
export type Daemon = {
  /** Starts it and waits until the command line is answered. */
  start(): Promise<void>;
  /** SIGTERM; resolves with the exit status when it has ended. */
  stop(): Promise<number | null>;
  /** SIGKILL: openvpn lives on. */
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  pid(): number;
  running(): boolean;
  /** Everything it printed, over all its lives. */
  output(): string;
  /** Pids of the openvpn servers in the server's namespace, ours or those of a daemon that was killed. */
  openvpnPids(): Promise<number[]>;
};

export function createDaemon(options: {
  network: Network;
  configFile: string;
  /** Whether the command line is answered. */
  answers(): Promise<boolean>;
}): Daemon {
  const { network, configFile } = options;
  let child: Child | undefined;
  let earlierOutput = "";
  const output = () => earlierOutput + (child?.output() ?? "");
  const present = (): Child => {
    if (child === undefined) throw new Error("the daemon was not started");
    return child;
  };

  return {
    start: async () => {
      earlierOutput = output();
      child = await startChild(inside(network.server, [sallyportProgram, "serve", "--config", configFile]));
      await until(
        "the daemon to answer",
        async () => {
          if (child?.exited() !== undefined) throw new Error(`The daemon ended.\n${child.output()}`);
          return options.answers();
        },
        { deadlineMs: 120_000, everyMs: 100, otherwise: output },
      );
    },
    stop: async () => {
      await present().end("SIGTERM");
      return present().exited()?.status ?? null;
    },
    kill: () => present().end("SIGKILL"),
    signal: (signal) => present().signal(signal),
    pid: () => present().pid,
    running: () => child !== undefined && child.exited() === undefined,
    output,
    openvpnPids: async () => {
      const found: number[] = [];
      for (const pid of await network.processesIn(network.server)) {
        const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
        if (name.trim() === "openvpn") found.push(pid);
      }
      return found;
    },
  };
}

/** Runs one command of the command line against the daemon of this configuration. Never throws for its exit status. */
export function runSallyport(configFile: string, args: readonly string[], input?: string): Promise<CommandResult> {
  return new Promise((finished) => {
    const words = ["--config", configFile, ...args];
    const child = execFile(sallyportProgram, words, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      finished({ status, stdout, stderr });
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input ?? "");
  });
}
