/** What a script cannot have for itself in the process it shares with other calls. */
import { tracebackOf } from "./failures.ts";
import { currentCall, log } from "./output.ts";

type Process = { reallyExit(status: number): never };

/** Kept from before a script could replace it. */
export const endProcess: (status: number) => never = (process as unknown as Process).reallyExit.bind(process);

/**
 * An exception that nobody caught belongs to the call it came from, which is denied; one that came from no call ends
 * the process, and a script that wants to end it gets an exception instead.
 */
export function standGuard(): void {
  process.on("uncaughtException", (error) => {
    const call = currentCall();
    const inTime = call?.fail(error) ?? false;
    if (!inTime) log(`nobody caught this exception: ${tracebackOf(error)}\n`);
    if (call === undefined) endProcess(1);
  });
  process.on("unhandledRejection", (error) => {
    if (currentCall()?.fail(error)) return;
    log(`nobody waited for this promise, which was rejected: ${tracebackOf(error)}\n`);
  });
  process.exit = (status?: number | string | null) => {
    throw new Error(`the script called process.exit(${status ?? ""})`);
  };
  const noSignals = () => {
    throw new Error("the script called process.kill(), and has no processes to signal");
  };
  // The second is what the first calls.
  Object.assign(process, { kill: noSignals, _kill: noSignals });
}
