import { handleCalls } from "./handles.ts";
import { openedOnce } from "./system-libraries.ts";

const PROCESS_QUERY_LIMITED_INFORMATION = 0x1000;
/** WaitForSingleObject: it has not ended. */
const WAIT_TIMEOUT = 258;
// SYNCHRONIZE, to ask for that.
const access = PROCESS_QUERY_LIMITED_INFORMATION | 0x100000;

/**
 * When a process was created, in 100 ns since 1601: with it a process id means one process, which on Windows is soon
 * another's. Undefined where there is none, it has ended, or this account may not ask.
 */
export async function processStartTime(pid: number): Promise<string | undefined> {
  return (await reader())(pid);
}

const reader = openedOnce(async ({ kernel32 }) => {
  const { openProcess, wait, close } = await handleCalls();
  const times = kernel32.func(
    "int __stdcall GetProcessTimes(intptr_t process, _Out_ void *began, _Out_ void *ended, _Out_ void *kernel, _Out_ void *user)",
  );
  return (pid: number): string | undefined => {
    const process: number = openProcess(access, 0, pid);
    if (process === 0) return undefined;
    try {
      const [began, ...others] = [Buffer.alloc(8), Buffer.alloc(8), Buffer.alloc(8), Buffer.alloc(8)];
      const known = times(process, began, ...others) !== 0 && wait(process, 0) === WAIT_TIMEOUT;
      return known ? `${began.readBigUInt64LE(0)}` : undefined;
    } finally {
      close(process);
    }
  };
});
