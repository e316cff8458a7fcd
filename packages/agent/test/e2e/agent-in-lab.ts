import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Child, startChild } from "../../../server/test/e2e/lab/child.ts";
import { inside, type Place } from "../../../server/test/e2e/lab/network.ts";
import { type Lab, until } from "../../../server/test/e2e/lab.ts";

const checkout = resolve(import.meta.dirname, "../../../..");
export const agentProgram = join(checkout, "bin/sallyport-agent");

/** A sallyport-agent in a client's namespace, with a directory of its own in place of the account's. */
export type LabAgent = {
  place: Place;
  child: Child;
  /** Holds what the account agreed to, and the agent's log. */
  directory: string;
  said(): string;
  sees(pattern: RegExp, deadlineMs?: number): Promise<RegExpMatchArray>;
  /** Another command of the same account, as `status`. */
  run(args: readonly string[]): Promise<{ status: number | null; output: string }>;
  /** Resolves with its exit status when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
};

let agents = 0;
const running: Child[] = [];

/** Ends whatever a test that failed left running. */
export async function endAgents(): Promise<void> {
  await Promise.all(running.splice(0).map((child) => child.end("SIGTERM")));
}

/**
 * What a command is started with so that an account without rights runs it: the account, and the checkout mounted where
 * others can go, as it may lie in a directory that is root's alone.
 */
export async function asAccount(id: number, mountedAt: string): Promise<string[]> {
  await mkdir(mountedAt, { recursive: true, mode: 0o755 });
  const script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
  const mounted = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", checkout, mountedAt];
  return [...mounted, "setpriv", "--reuid", `${id}`, "--regid", `${id}`, "--clear-groups"];
}

export async function startService(place: Place, environment: Readonly<Record<string, string>>): Promise<Child> {
  const service = await startChild(inside(place, [agentProgram, "service"]), {
    env: { ...process.env, ...environment },
  });
  running.push(service);
  await until("the service", () => service.output().includes("listening at"), { otherwise: service.output });
  return service;
}

export async function startAgent(
  lab: Lab,
  options: {
    config: string;
    place?: Place;
    /** Behind `connect FILE`. */
    args?: readonly string[];
    /** Lines of standard input. */
    input?: readonly string[];
    environment?: Readonly<Record<string, string>>;
    directory?: string;
    /** What it is started with: `asAccount` for another account. */
    prefix?: readonly string[];
    program?: string;
    fileName?: string;
  },
): Promise<LabAgent> {
  agents += 1;
  const number = agents;
  const place = options.place ?? (await lab.network.client());
  const directory = options.directory ?? join(lab.directory, `agent-${number}`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(lab.directory, `agent-${number}-${options.fileName ?? "office.ovpn"}`);
  await writeFile(file, options.config, { mode: 0o644 });
  const env = { ...process.env, SALLYPORT_AGENT_DIRECTORY: directory, ...options.environment };
  const { prefix = [], program = agentProgram } = options;
  const words = (args: readonly string[]) => inside(place, [...prefix, program, ...args]);
  const child = await startChild(words(["connect", file, ...(options.args ?? [])]), {
    env,
    input: (options.input ?? []).map((line) => `${line}\n`).join(""),
  });
  running.push(child);
  const said = () => child.output();
  return {
    place,
    child,
    directory,
    said,
    sees: (pattern, deadlineMs = 60_000) =>
      until(`${pattern} in what the agent says`, () => said().match(pattern) ?? undefined, {
        deadlineMs,
        otherwise: () => `${said()}\nThe server:\n${lab.daemon.output().slice(-4_000)}`,
      }),
    run: async (args) => {
      const run = await startChild(words(args), { env });
      await until("the command to end", () => run.exited() !== undefined);
      return { status: run.exited()?.status ?? null, output: run.output() };
    },
    stop: async (signal = "SIGTERM") => {
      await child.end(signal);
      return child.exited()?.status ?? null;
    },
  };
}
