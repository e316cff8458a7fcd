import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";

/** What Python asks of the machine, answered by the worker in host-worker.ts. */
export type HostCall = { name: string; arguments: Record<string, unknown>; bytes?: Uint8Array };
/** `errno`: the name of an error of the system, where it was one. */
export type HostAnswer = Record<string, unknown> | { error: string; errno?: string; path?: string };

/** Python in WebAssembly cannot wait for a promise: the thread stands still until the worker has answered. */
export function synchronousCalls(port: MessagePort, signal: Int32Array) {
  return (call: HostCall): HostAnswer => {
    Atomics.store(signal, 0, 0);
    port.postMessage(call);
    Atomics.wait(signal, 0, 0);
    return (receiveMessageOnPort(port)?.message ?? { error: "the process around Python did not answer" }) as HostAnswer;
  };
}

/** The other end: answers every call, one at a time. */
export function answerCalls(
  port: MessagePort,
  signal: Int32Array,
  answer: (call: HostCall) => Promise<HostAnswer>,
): void {
  port.on("message", async (call: HostCall) => {
    const result = await answer(call).catch((error: NodeJS.ErrnoException) => ({
      error: error.message,
      errno: error.code,
      path: error.path,
    }));
    port.postMessage(result);
    Atomics.store(signal, 0, 1);
    Atomics.notify(signal, 0);
  });
}
