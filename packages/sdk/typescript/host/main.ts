/** Loads the script, then answers calls until the daemon closes the pipe. */
import { Calls } from "./calls.ts";
import { cut, messageOf } from "./failures.ts";
import { Fault, loadScript } from "./load-script.ts";
import type { Orders } from "./orders.ts";
import { captureOutput } from "./output.ts";
import { Pipe } from "./pipe.ts";
import { endProcess, standGuard } from "./process.ts";

export async function main(orders: Orders, script: { url: string; code: string }): Promise<void> {
  const pipe = new Pipe(3);
  Error.stackTraceLimit = 30;
  captureOutput(orders.maxOutputBytes);
  standGuard();
  try {
    const loaded = await loadScript(orders, script);
    const calls = new Calls({ pipe, orders, script: loaded });
    pipe.send({ op: "loaded", pid: process.pid, facts: loaded.facts });
    pipe.listen((message) => calls.receive(message));
  } catch (error) {
    const { line, column } = error instanceof Fault ? error : { line: null, column: null };
    await pipe.sendLast({ op: "fault", message: cut(messageOf(error)), line, column });
    endProcess(0);
  }
}
