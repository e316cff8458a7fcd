import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export type HostLog = { level: string; message: string; fields: Record<string, unknown> };

/** A process of ours inside a namespace that answers calls. */
export type ChildHost = {
  call<Result>(method: string, ...args: unknown[]): Promise<Result>;
  logged: HostLog[];
  /** SIGKILL. */
  kill(): Promise<void>;
};

type Message = {
  id?: number;
  result?: unknown;
  error?: { code: string; message: string };
  log?: HostLog;
  ready?: true;
};

export async function startHost(namespace: string, program: string, settings: object = {}): Promise<ChildHost> {
  const words = ["netns", "exec", namespace, process.execPath, program, JSON.stringify(settings)];
  const child: ChildProcess = spawn("ip", words, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const logged: HostLog[] = [];
  const ready = new Promise<void>((resolve, reject) => {
    child.on("message", (message: Message) => {
      if (message.ready) resolve();
      if (message.log) logged.push(message.log);
      const waiter = message.id === undefined ? undefined : waiting.get(message.id);
      if (message.error) waiter?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }));
      else waiter?.resolve(message.result);
    });
    child.once("exit", () => reject(new Error(`${program} ended`)));
  });
  await ready;
  const gone = once(child, "exit");
  let calls = 0;
  return {
    call: <Result>(method: string, ...args: unknown[]) =>
      new Promise<Result>((resolve, reject) => {
        calls += 1;
        waiting.set(calls, { resolve: resolve as (value: unknown) => void, reject });
        child.send({ id: calls, method, args });
      }),
    logged,
    kill: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await gone;
      }
    },
  };
}
