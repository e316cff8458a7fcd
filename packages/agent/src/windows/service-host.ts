import { handleCalls } from "./handles.ts";
import { systemLibraries } from "./system-libraries.ts";

/** The name by which services.exe, the event log and `sc.exe` know us. */
export const serviceName = "sallyport-agent";

/** The service as its host sees it. */
export type HostedService = {
  /** Resolves once it serves. */
  start(): Promise<{ close(): Promise<void> }>;
  /** It could not start, or not end: what the list of services shows as its "service-specific error", above 0. */
  onFailure(error: unknown): number;
};

// winsvc.h
const SERVICE_WIN32_OWN_PROCESS = 0x10;
const states = { stopped: 1, starting: 2, stopping: 3, running: 4 } as const;
const controls = { stop: 1, interrogate: 4, shutdown: 5, preshutdown: 15 } as const;
const acceptsStopAndShutdown = 0x1 | 0x4 | 0x100;
// winerror.h
const ERROR_INVALID_PARAMETER = 87;
const ERROR_CALL_NOT_IMPLEMENTED = 120;
const ERROR_FAILED_SERVICE_CONTROLLER_CONNECT = 1063;
const ERROR_SERVICE_SPECIFIC_ERROR = 1066;

const PROCESS_QUERY_LIMITED_INFORMATION = 0x1000;

/** How long services.exe waits for the next sign of life before it says that we hang. */
const signOfLifeMs = 15_000;
/** Disconnect scripts end long before; whatever else hangs does not keep the machine from going down. */
const closeDeadlineMs = 30_000;

type State = keyof typeof states;

/**
 * Serves under Windows' service manager until that asks us to stop or the machine goes down: then `close` has 30 s.
 * Resolves with what services.exe was told at the end, 0 for "as asked"; undefined where it did not start this process.
 */
export async function hostUnderServiceManager(open: () => Promise<HostedService>): Promise<number | undefined> {
  const manager = (await mayBeHosted()) ? await connectManager() : undefined;
  if (manager === undefined) return undefined;
  const { tell, stop } = manager;
  let signs = signsOfLife(() => tell("starting"));
  let service: HostedService | undefined;
  let code = 0;
  try {
    service = await open();
    const running = await service.start();
    clearInterval(signs);
    tell("running");
    await new Promise<void>((resolve) => {
      if (stop.aborted) resolve();
      stop.addEventListener("abort", () => resolve());
    });
    signs = signsOfLife(() => tell("stopping"));
    await withinDeadline(running.close());
  } catch (error) {
    code = service?.onFailure(error) ?? 1;
  }
  clearInterval(signs);
  tell("stopped", code);
  return code;
}

function signsOfLife(give: () => void): NodeJS.Timeout {
  give();
  return setInterval(give, signOfLifeMs / 3);
}

async function withinDeadline(ending: Promise<void>): Promise<void> {
  let deadline: NodeJS.Timeout | undefined;
  const overrun = new Promise<never>((_resolve, reject) => {
    const words = `The service did not end within ${closeDeadlineMs / 1_000} seconds, and is ended.`;
    deadline = setTimeout(() => reject(new Error(words)), closeDeadlineMs);
  });
  await Promise.race([ending, overrun]).finally(() => clearTimeout(deadline));
}

type Manager = { tell(state: State, code?: number): void; stop: AbortSignal };

/**
 * Whether services.exe may have started this process. Where it plainly did not there is no need to ask it, for which some
 * systems take 10 seconds.
 */
async function mayBeHosted(): Promise<boolean> {
  const { kernel32, lastError } = await systemLibraries();
  const { openProcess, close } = await handleCalls();
  const imageName = kernel32.func(
    "int __stdcall QueryFullProcessImageNameW(intptr_t process, uint32_t flags, _Out_ void *name, _Inout_ uint32_t *length)",
  );
  const parent: number = openProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, process.ppid);
  // services.exe lives as long as the system: a parent that is gone is another.
  if (parent === 0) return lastError("OpenProcess").code !== ERROR_INVALID_PARAMETER;
  const name = Buffer.alloc(2_048);
  const length = [name.length / 2];
  const known = imageName(parent, 0, name, length) !== 0;
  close(parent);
  return !known || /\\services\.exe$/i.test(name.toString("utf16le", 0, (length[0] ?? 0) * 2));
}

/** Resolves when services.exe has begun the service; undefined: it did not start this process. */
async function connectManager(): Promise<Manager | undefined> {
  const { koffi, advapi32, lastError } = await systemLibraries();
  const Main = koffi.proto("void __stdcall ServiceMain(uint32_t count, void *words)");
  const Handler = koffi.proto(
    "uint32_t __stdcall HandlerEx(uint32_t control, uint32_t type, void *data, void *context)",
  );
  const Entry = koffi.struct({ name: "str16", main: koffi.pointer(Main) });
  const Status = koffi.struct({
    type: "uint32_t",
    state: "uint32_t",
    accepts: "uint32_t",
    exitCode: "uint32_t",
    specificCode: "uint32_t",
    checkPoint: "uint32_t",
    waitHint: "uint32_t",
  });
  const dispatch = advapi32.func("StartServiceCtrlDispatcherW", "int", ["void *"]);
  const registerHandler = advapi32.func("RegisterServiceCtrlHandlerExW", "intptr_t", [
    "str16",
    koffi.pointer(Handler),
    "void *",
  ]);
  const setStatus = advapi32.func("SetServiceStatus", "int", ["intptr_t", koffi.pointer(Status)]);

  const stop = new AbortController();
  const handler = koffi.register((control: number): number => {
    if (control === controls.stop || control === controls.shutdown || control === controls.preshutdown) stop.abort();
    else if (control !== controls.interrogate) return ERROR_CALL_NOT_IMPLEMENTED;
    return 0;
  }, koffi.pointer(Handler));

  return new Promise((resolve, reject) => {
    const main = koffi.register(() => {
      // Called once, on this thread; the service goes on when it has returned, until its state is "stopped".
      const handle = registerHandler(serviceName, handler, null);
      if (handle === 0) return reject(lastError("RegisterServiceCtrlHandlerExW"));
      let checkPoint = 0;
      const tell = (state: State, code = 0) => {
        const isPending = state === "starting" || state === "stopping";
        checkPoint = isPending ? checkPoint + 1 : 0;
        const status = {
          type: SERVICE_WIN32_OWN_PROCESS,
          state: states[state],
          accepts: state === "running" ? acceptsStopAndShutdown : 0,
          exitCode: code === 0 ? 0 : ERROR_SERVICE_SPECIFIC_ERROR,
          specificCode: code,
          checkPoint,
          waitHint: isPending ? signOfLifeMs : 0,
        };
        setStatus(handle, status);
      };
      resolve({ tell, stop: stop.signal });
    }, koffi.pointer(Main));
    const table = koffi.alloc(Entry, 2);
    koffi.encode(table, koffi.array(Entry, 2), [
      { name: serviceName, main },
      { name: null, main: null },
    ]);
    // It has a thread of its own for as long as the service lives.
    dispatch.async(table, (error: Error | null, result: number) => {
      koffi.free(table);
      if (error !== null) return reject(error);
      if (result !== 0) return;
      const failure = lastError("StartServiceCtrlDispatcherW");
      if (failure.code === ERROR_FAILED_SERVICE_CONTROLLER_CONNECT) resolve(undefined);
      else reject(failure);
    });
  });
}
