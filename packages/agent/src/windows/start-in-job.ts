import { randomBytes } from "node:crypto";
import { Socket } from "node:net";
import { windowsAccounts } from "./accounts.ts";
import { createJob } from "./job.ts";
import { windowsSecurity } from "./security.ts";
import { type SystemLibraries, systemLibraries } from "./system-libraries.ts";

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
// PIPE_ACCESS_DUPLEX, FILE_FLAG_OVERLAPPED, FILE_FLAG_FIRST_PIPE_INSTANCE
const ownEnd = 0x40080003;
const PIPE_REJECT_REMOTE_CLIENTS = 8;
const OPEN_EXISTING = 3;
// GENERIC_READ | FILE_WRITE_ATTRIBUTES and GENERIC_WRITE | FILE_READ_ATTRIBUTES: what libuv gives, which Node asks for.
const [toRead, toWrite] = [0x80000100, 0x40000080];
const pipeBytes = 64 * 1024;
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
  const libraries = await systemLibraries();
  const calls = callsOf(libraries);
  const job = await createJob();
  const pipes: Pipe[] = [];
  const pipe = async (access: number) => {
    const made = await makePipe(libraries, access);
    pipes.push(made);
    return made;
  };
  try {
    const [input, output] = [await pipe(toRead), await pipe(toWrite)];
    const created = create(libraries, { ...command, stdin: input.theirs, stdout: output.theirs });
    try {
      job.add(created.process);
      if (calls.resume(created.thread) === 0xffffffff) throw libraries.lastError("ResumeThread");
    } catch (error) {
      calls.terminate(created.process, 1);
      calls.close(created.process);
      throw error;
    } finally {
      calls.close(created.thread);
    }
    return {
      pid: created.pid,
      ...{ stdin: input.socket, output: output.socket },
      ended: exitOf(libraries, created.process),
      terminate: job.terminate,
      release: job.release,
    };
  } catch (error) {
    job.terminate();
    for (const { socket } of pipes) socket.destroy();
    throw error;
  } finally {
    // The process has its own by now. As long as we had one too, no end of output would come.
    for (const { theirs } of pipes) calls.close(theirs);
  }
}

type Pipe = { socket: Socket; theirs: number };

/** A pipe whose one other end is in our hands before anybody learns its name. */
async function makePipe(libraries: SystemLibraries, access: number): Promise<Pipe> {
  const { lastError } = libraries;
  const calls = callsOf(libraries);
  const { withAttributes } = await windowsSecurity();
  const sddl = `D:P(A;;GA;;;${(await windowsAccounts()).own().sid})`;
  const name = `\\\\.\\pipe\\sallyport-agent-script-${randomBytes(16).toString("hex")}`;
  return withAttributes(sddl, (attributes) => {
    const mode = PIPE_REJECT_REMOTE_CLIENTS;
    const ours: number = calls.createPipe(name, ownEnd, mode, 1, pipeBytes, pipeBytes, 0, attributes);
    if (ours === -1) throw lastError("CreateNamedPipeW");
    // To be inherited.
    attributes.writeInt32LE(1, 16);
    const theirs: number = calls.createFile(name, access, 0, attributes, OPEN_EXISTING, 0, 0);
    const error = theirs === -1 ? lastError("CreateFileW") : undefined;
    const fd: number = error === undefined ? calls.descriptorOf(ours) : -1;
    if (fd !== -1) return { socket: new Socket({ fd, readable: true, writable: true }), theirs };
    calls.close(ours);
    if (theirs !== -1) calls.close(theirs);
    throw error ?? new Error("a pipe to a script cannot be used");
  });
}

function create(
  libraries: SystemLibraries,
  command: Parameters<typeof startInJob>[0] & { stdin: number; stdout: number },
): { process: number; thread: number; pid: number } {
  const { lastError } = libraries;
  const calls = callsOf(libraries);
  const { program, commandLine, environment, directory, stdin, stdout } = command;
  const size = [0];
  calls.sizeOfAttributes(null, 1, 0, size);
  const attributes = Buffer.alloc(size[0] ?? 0);
  if (calls.sizeOfAttributes(attributes, 1, 0, size) === 0) throw lastError("InitializeProcThreadAttributeList");
  try {
    const handles = Buffer.alloc(16);
    handles.writeBigInt64LE(BigInt(stdin), 0);
    handles.writeBigInt64LE(BigInt(stdout), 8);
    const set = calls.setAttribute(attributes, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles, 16, null, null);
    if (set === 0) throw lastError("UpdateProcThreadAttribute");
    const startup = {
      ...{ cb: 112, reserved: null, desktop: null, title: null, place: Array(7).fill(0), flags: STARTF_USESTDHANDLES },
      ...{ show: 0, reservedSize: 0, reservedBytes: null, stdin, stdout, stderr: stdout, attributes },
    };
    const created = Buffer.alloc(24);
    const flags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT | CREATE_NO_WINDOW;
    const line = Buffer.from(`${commandLine}\0`, "utf16le");
    const block = environmentBlock(environment);
    const done = calls.createProcess(program, line, null, null, 1, flags, block, directory, startup, created);
    if (done === 0) throw lastError("CreateProcessW");
    // koffi keeps nothing: what Windows was pointed to has to be here until now.
    void [handles, attributes];
    return {
      process: Number(created.readBigInt64LE(0)),
      thread: Number(created.readBigInt64LE(8)),
      pid: created.readUInt32LE(16),
    };
  } finally {
    calls.deleteAttributes(attributes);
  }
}

/** As CreateProcess wants it: sorted by name without regard to case, each with a NUL behind it, and one more. */
export function environmentBlock(environment: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(environment).map(([name, value]) => [name.toUpperCase(), `${name}=${value}`] as const);
  const sorted = pairs.toSorted(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  return Buffer.from(`${sorted.map(([, pair]) => `${pair}\0`).join("")}\0`, "utf16le");
}

/** Looked at again and again: a wait would take one of the few threads on which Node reads files. */
function exitOf(libraries: SystemLibraries, process: number): Promise<number> {
  const calls = callsOf(libraries);
  return new Promise((ended) => {
    const look = () => {
      if (calls.wait(process, 0) !== 0) return void setTimeout(look, lookEachMs);
      const status = [STILL_ACTIVE];
      calls.exitStatus(process, status);
      calls.close(process);
      ended(status[0] ?? 0);
    };
    setTimeout(look, lookEachMs);
  });
}

let declared: ReturnType<typeof declare> | undefined;

function callsOf(libraries: SystemLibraries) {
  declared ??= declare(libraries);
  return declared;
}

function declare({ koffi, kernel32 }: SystemLibraries) {
  const ofKernel = (prototype: string) => kernel32.func(prototype);
  koffi.struct("STARTUPINFOEXW", {
    ...{ cb: "uint32_t", reserved: "void *", desktop: "void *", title: "void *" },
    ...{ place: koffi.array("uint32_t", 7), flags: "uint32_t", show: "uint16_t", reservedSize: "uint16_t" },
    ...{ reservedBytes: "void *", stdin: "intptr_t", stdout: "intptr_t", stderr: "intptr_t", attributes: "void *" },
  });
  return {
    createPipe: ofKernel(
      "intptr_t __stdcall CreateNamedPipeW(str16 name, uint32_t access, uint32_t mode, uint32_t most, uint32_t out, uint32_t in, uint32_t timeout, void *attributes)",
    ),
    createFile: ofKernel(
      "intptr_t __stdcall CreateFileW(str16 name, uint32_t access, uint32_t share, void *attributes, uint32_t disposition, uint32_t flags, intptr_t template)",
    ),
    createProcess: ofKernel(
      "int __stdcall CreateProcessW(str16 program, void *line, void *process, void *thread, int inherit, uint32_t flags, const void *environment, str16 directory, STARTUPINFOEXW *startup, void *created)",
    ),
    sizeOfAttributes: ofKernel(
      "int __stdcall InitializeProcThreadAttributeList(void *list, uint32_t count, uint32_t flags, _Inout_ uintptr_t *size)",
    ),
    setAttribute: ofKernel(
      "int __stdcall UpdateProcThreadAttribute(void *list, uint32_t flags, uintptr_t attribute, void *value, uintptr_t size, void *before, void *returned)",
    ),
    deleteAttributes: ofKernel("void __stdcall DeleteProcThreadAttributeList(void *list)"),
    resume: ofKernel("uint32_t __stdcall ResumeThread(intptr_t thread)"),
    terminate: ofKernel("int __stdcall TerminateProcess(intptr_t process, uint32_t status)"),
    wait: ofKernel("uint32_t __stdcall WaitForSingleObject(intptr_t handle, uint32_t milliseconds)"),
    exitStatus: ofKernel("int __stdcall GetExitCodeProcess(intptr_t process, _Out_ uint32_t *status)"),
    close: ofKernel("int __stdcall CloseHandle(intptr_t handle)"),
    // libuv's own, which Node's executable has for its modules.
    descriptorOf: koffi.load(process.execPath).func("int uv_open_osfhandle(intptr_t handle)"),
  };
}
