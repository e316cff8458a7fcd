import type { Socket } from "node:net";
import { handleCalls } from "./handles.ts";
import { type InheritedPipe, inheritedPipes } from "./inherited-pipe.ts";
import { createJob } from "./job.ts";
import { openedOnce, type SystemLibraries, systemLibraries } from "./system-libraries.ts";

/** A process that runs with everything that it starts in a job of its own. */
export type JobProcess = {
  pid: number;
  stdin: Socket;
  /** Its standard output and error, in the order in which they were written. */
  output: Socket;
  /** Its exit status. */
  ended: Promise<number>;
  /** Ends it and all that it started, whoever their parents are by now. */
  terminate(): void;
  /** To be called once it has ended: what it left running may go on. */
  release(): void;
};

const CREATE_SUSPENDED = 4;
const CREATE_UNICODE_ENVIRONMENT = 0x400;
const EXTENDED_STARTUPINFO_PRESENT = 0x80000;
// A console that nobody sees. Without any, each program that it starts would open a window for one of its own.
const CREATE_NO_WINDOW = 0x8000000;
const STARTF_USESTDHANDLES = 0x100;
const PROC_THREAD_ATTRIBUTE_HANDLE_LIST = 0x20002;
/** Of STARTUPINFOEXW. */
const startupBytes = 112;
const STILL_ACTIVE = 259;
const lookEachMs = 15;

/**
 * Starts a program, hidden, with exactly this command line and environment. It runs no instruction before it is in the
 * job, so nothing that it starts can be outside; and it inherits the two pipes and nothing else. When the agent ends,
 * however it does, the job's processes end with it.
 * @throws WindowsError
 */
export async function startInJob(command: {
  program: string;
  commandLine: string;
  environment: Readonly<Record<string, string>>;
  directory: string;
}): Promise<JobProcess> {
  const calls = await processCalls();
  const handles = await handleCalls();
  const openPipe = await inheritedPipes();
  const { lastError } = await systemLibraries();
  const job = await createJob();
  // Nothing is waited for until the ends that are to be inherited are closed: what else we start inherits all there are.
  const pipes: InheritedPipe[] = [];
  try {
    const input = openPipe("read");
    pipes.push(input);
    const output = openPipe("write");
    pipes.push(output);
    const created = create(calls, lastError, { ...command, stdin: input.theirs, stdout: output.theirs });
    try {
      job.add(created.process);
      if (calls.resume(created.thread) === 0xffffffff) throw lastError("ResumeThread");
    } catch (error) {
      calls.terminate(created.process, 1);
      handles.close(created.process);
      throw error;
    } finally {
      handles.close(created.thread);
    }
    return {
      pid: created.pid,
      stdin: input.socket,
      output: output.socket,
      ended: exitOf(calls, handles, created.process),
      terminate: job.terminate,
      release: job.release,
    };
  } catch (error) {
    job.terminate();
    for (const { socket } of pipes) socket.destroy();
    throw error;
  } finally {
    // The process has its own by now. As long as we had one too, no end of output would come.
    for (const { theirs } of pipes) handles.close(theirs);
  }
}

type ProcessCalls = Awaited<ReturnType<typeof processCalls>>;

function create(
  calls: ProcessCalls,
  lastError: SystemLibraries["lastError"],
  command: Parameters<typeof startInJob>[0] & { stdin: number; stdout: number },
): { process: number; thread: number; pid: number } {
  const { program, commandLine, environment, directory, stdin, stdout } = command;
  const size = [0];
  calls.sizeOfAttributes(null, 1, 0, size);
  const attributes = Buffer.alloc(size[0] ?? 0);
  if (calls.sizeOfAttributes(attributes, 1, 0, size) === 0) throw lastError("InitializeProcThreadAttributeList");
  const inherited = Buffer.alloc(16);
  inherited.writeBigInt64LE(BigInt(stdin), 0);
  inherited.writeBigInt64LE(BigInt(stdout), 8);
  try {
    const set = calls.setAttribute(attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, inherited, 16, null, null);
    if (set === 0) throw lastError("UpdateProcThreadAttribute");
    const startup = {
      cb: startupBytes,
      reserved: null,
      desktop: null,
      title: null,
      place: Array(7).fill(0),
      flags: STARTF_USESTDHANDLES,
      show: 0,
      reservedSize: 0,
      reservedBytes: null,
      stdin,
      stdout,
      stderr: stdout,
      attributes,
    };
    const created = Buffer.alloc(24);
    const flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT | CREATE_NO_WINDOW;
    const line = Buffer.from(`${commandLine}\0`, "utf16le");
    const block = environmentBlock(environment);
    const done = calls.createProcess(program, line, null, null, 1, flags, block, directory, startup, created);
    if (done === 0) throw lastError("CreateProcessW");
    return {
      process: Number(created.readBigInt64LE(0)),
      thread: Number(created.readBigInt64LE(8)),
      pid: created.readUInt32LE(16),
    };
  } finally {
    calls.deleteAttributes(attributes);
    // The list only points to them, and nothing else keeps them: used once more, they are there until now.
    inherited.fill(0);
  }
}

/** As CreateProcess wants it: sorted by name without regard to case, each with a NUL behind it, and one more. */
export function environmentBlock(environment: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(environment).map(([name, value]) => [name.toUpperCase(), `${name}=${value}`] as const);
  const sorted = pairs.toSorted(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  return Buffer.from(`${sorted.map(([, pair]) => `${pair}\0`).join("")}\0`, "utf16le");
}

/** Looked at again and again: a wait would take one of the few threads on which Node reads files. */
function exitOf(
  calls: ProcessCalls,
  handles: Awaited<ReturnType<typeof handleCalls>>,
  process: number,
): Promise<number> {
  return new Promise((ended) => {
    const look = () => {
      if (handles.wait(process, 0) !== 0) return void setTimeout(look, lookEachMs);
      const status = [STILL_ACTIVE];
      calls.exitStatus(process, status);
      handles.close(process);
      ended(status[0] ?? 0);
    };
    setTimeout(look, lookEachMs);
  });
}

const processCalls = openedOnce(({ koffi, kernel32 }) => {
  koffi.struct("STARTUPINFOEXW", {
    cb: "uint32_t",
    reserved: "void *",
    desktop: "void *",
    title: "void *",
    place: koffi.array("uint32_t", 7),
    flags: "uint32_t",
    show: "uint16_t",
    reservedSize: "uint16_t",
    reservedBytes: "void *",
    stdin: "intptr_t",
    stdout: "intptr_t",
    stderr: "intptr_t",
    attributes: "void *",
  });
  return {
    createProcess: kernel32.func(
      "int __stdcall CreateProcessW(str16 program, void *line, void *process, void *thread, int inherit, uint32_t flags, const void *environment, str16 directory, STARTUPINFOEXW *startup, void *created)",
    ),
    sizeOfAttributes: kernel32.func(
      "int __stdcall InitializeProcThreadAttributeList(void *list, uint32_t count, uint32_t flags, _Inout_ uintptr_t *size)",
    ),
    setAttribute: kernel32.func(
      "int __stdcall UpdateProcThreadAttribute(void *list, uint32_t flags, uintptr_t attribute, void *value, uintptr_t size, void *before, void *returned)",
    ),
    deleteAttributes: kernel32.func("void __stdcall DeleteProcThreadAttributeList(void *list)"),
    resume: kernel32.func("uint32_t __stdcall ResumeThread(intptr_t thread)"),
    terminate: kernel32.func("int __stdcall TerminateProcess(intptr_t process, uint32_t status)"),
    exitStatus: kernel32.func("int __stdcall GetExitCodeProcess(intptr_t process, _Out_ uint32_t *status)"),
  };
});
