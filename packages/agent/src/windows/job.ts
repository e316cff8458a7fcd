import { handleCalls } from "./handles.ts";
import { openedOnce, systemLibraries } from "./system-libraries.ts";

/** A group of processes that nothing which one of them starts can leave (a job object). */
export type Job = {
  /** @throws WindowsError */
  add(process: number): void;
  /** Ends all of them, whoever their parents are by now. */
  terminate(): void;
  /** Lets those that are left go on. */
  release(): void;
};

const extendedLimitInformation = 9;
/** Of JOBOBJECT_EXTENDED_LIMIT_INFORMATION, and where its LimitFlags are. */
const [limitBytes, limitFlags] = [144, 16];
// No window with a complaint that waits for somebody to close it.
const JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION = 0x400;
// However we end: Windows closes our handle, which is the only one.
const JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x2000;

/** @throws WindowsError */
export async function createJob(): Promise<Job> {
  const { lastError } = await systemLibraries();
  const calls = await jobCalls();
  const handles = await handleCalls();
  const job: number = calls.create(null, null);
  if (job === 0) throw lastError("CreateJobObjectW");
  let closed = false;
  const close = () => {
    if (!closed) handles.close(job);
    closed = true;
  };
  const limit = (flags: number): boolean => {
    const limits = Buffer.alloc(limitBytes);
    limits.writeUInt32LE(flags, limitFlags);
    return calls.set(job, extendedLimitInformation, limits, limits.length) !== 0;
  };
  if (!limit(JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION | JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)) {
    const error = lastError("SetInformationJobObject");
    close();
    throw error;
  }
  return {
    add: (process) => {
      if (calls.assign(job, process) === 0) throw lastError("AssignProcessToJobObject");
    },
    terminate: () => {
      if (!closed) calls.terminate(job, 1);
      close();
    },
    release: () => {
      if (!closed) limit(JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION);
      close();
    },
  };
}

const jobCalls = openedOnce(({ kernel32 }) => ({
  create: kernel32.func("intptr_t __stdcall CreateJobObjectW(void *attributes, void *name)"),
  set: kernel32.func("int __stdcall SetInformationJobObject(intptr_t job, int what, const void *value, uint32_t size)"),
  assign: kernel32.func("int __stdcall AssignProcessToJobObject(intptr_t job, intptr_t process)"),
  terminate: kernel32.func("int __stdcall TerminateJobObject(intptr_t job, uint32_t status)"),
}));
