import { setTimeout as sleep } from "node:timers/promises";
import type { TypeObject } from "koffi";
import { AgentFailure } from "../failure.ts";
import { serviceName } from "./service-host.ts";
import { type SystemLibraries, systemLibraries } from "./system-libraries.ts";

/** What the list of services shows of a service: winsvc.h's states by name, and why it ended. */
export type ServiceState = {
  state: "stopped" | "starting" | "stopping" | "running" | "paused";
  /** What it ended with; 0 is "as asked". */
  exitCode: number;
};

/** Windows' list of services, as far as it is about ours. Each throws WindowsError where Windows says no. */
export type ServiceList = {
  /** Puts it into the list or changes what is there: started with the machine, as SYSTEM, and again when it failed. */
  put(commandLine: string): void;
  start(): Promise<void>;
  /** Undefined: there is none. */
  state(): ServiceState | undefined;
  /** Resolves when it has ended, if it was running. @throws AgentFailure: it does not */
  stop(): Promise<void>;
  remove(): void;
};

const displayName = "Sallyport agent";
const description = "Brings VPN tunnels up, and runs administrators' scripts, as the machine's owner allowed it.";

// winsvc.h
const SC_MANAGER_CONNECT_AND_CREATE = 3;
const SERVICE_ALL_ACCESS = 0xf01ff;
const SERVICE_WIN32_OWN_PROCESS = 0x10;
const SERVICE_AUTO_START = 2;
const SERVICE_ERROR_NORMAL = 1;
const SERVICE_CONTROL_STOP = 1;
const stateNames = ["", "stopped", "starting", "stopping", "running", "starting", "stopping", "paused"] as const;
const told = { description: 1, onFailure: 2, alsoOnExitCode: 4, preshutdown: 7 };
const SC_ACTION_RESTART = 1;
/** After the first, the second and each further failure. */
const restartAfterMs = [2_000, 10_000, 60_000];
const forgetFailuresAfterSeconds = 3_600;
/** Disconnect scripts may take 15 seconds, and the service 30. */
const preshutdownMs = 40_000;
// winerror.h
const ERROR_INVALID_LEVEL = 124;
const ERROR_SERVICE_REQUEST_TIMEOUT = 1053;
const ERROR_SERVICE_ALREADY_RUNNING = 1056;
const ERROR_SERVICE_DOES_NOT_EXIST = 1060;
const ERROR_SERVICE_CANNOT_ACCEPT_CTRL = 1061;
const ERROR_SERVICE_NOT_ACTIVE = 1062;
const ERROR_SERVICE_SPECIFIC_ERROR = 1066;
const ERROR_SERVICE_MARKED_FOR_DELETE = 1072;

const startDeadlineMs = 60_000;
const stopDeadlineMs = 60_000;

export async function windowsServiceList(): Promise<ServiceList> {
  const libraries = await systemLibraries();
  const { koffi, lastError } = libraries;
  const calls = declare(libraries);

  const withManager = <Result>(use: (manager: number) => Result): Result => {
    const manager: number = calls.openManager(null, null, SC_MANAGER_CONNECT_AND_CREATE);
    if (manager === 0) throw lastError("OpenSCManagerW");
    try {
      return use(manager);
    } finally {
      calls.close(manager);
    }
  };
  /** Undefined where it is not in the list. */
  const withService = <Result>(use: (service: number) => Result): Result | undefined =>
    withManager((manager) => {
      const service: number = calls.open(manager, serviceName, SERVICE_ALL_ACCESS);
      if (service === 0) {
        const failure = lastError("OpenServiceW");
        if (failure.code === ERROR_SERVICE_DOES_NOT_EXIST) return undefined;
        throw failure;
      }
      try {
        return use(service);
      } finally {
        calls.close(service);
      }
    });
  const check = (result: number, call: string, ...welcome: number[]) => {
    if (result !== 0) return;
    const failure = lastError(call);
    if (!welcome.includes(failure.code)) throw failure;
  };
  const common = [SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL] as const;
  const state: ServiceList["state"] = () =>
    withService((service) => {
      const status = Buffer.alloc(28);
      check(calls.query(service, status), "QueryServiceStatus");
      const [exitCode, specific] = [status.readUInt32LE(12), status.readUInt32LE(16)];
      return {
        state: stateNames[status.readUInt32LE(4)] || "stopped",
        exitCode: exitCode === ERROR_SERVICE_SPECIFIC_ERROR ? specific : exitCode,
      };
    });
  const askToStop = () =>
    withService((service) => {
      const welcome = [ERROR_SERVICE_NOT_ACTIVE, ERROR_SERVICE_REQUEST_TIMEOUT, ERROR_SERVICE_CANNOT_ACCEPT_CTRL];
      check(calls.control(service, SERVICE_CONTROL_STOP, Buffer.alloc(28)), "ControlService", ...welcome);
    });

  return {
    put: (commandLine) => {
      withManager((manager) => {
        const rest = [commandLine, null, null, null, null, null] as const;
        const existing = withService((service) => {
          check(calls.change(service, ...common, ...rest, displayName), "ChangeServiceConfigW");
          return true;
        });
        if (existing === undefined) {
          const made = calls.create(manager, serviceName, displayName, SERVICE_ALL_ACCESS, ...common, ...rest);
          if (made === 0) {
            const failure = lastError("CreateServiceW");
            if (failure.code === ERROR_SERVICE_MARKED_FOR_DELETE)
              throw new AgentFailure(
                "failed",
                "The service was removed, and Windows still waits for somebody who looks at it.",
                "Close services.msc, the event viewer and the task manager, and try again.",
              );
            throw failure;
          }
          calls.close(made);
        }
        withService((service) => {
          const tell = (what: number, value: object, type: TypeObject) => {
            const result: number = calls.change2(service, what, koffi.as(value, koffi.pointer(type)));
            // What a system does not know it does in a way of its own.
            check(result, `ChangeServiceConfig2W (${what})`, ERROR_INVALID_LEVEL);
          };
          tell(told.description, { text: description }, calls.Text);
          const actions = restartAfterMs.map((afterMs) => ({ type: SC_ACTION_RESTART, afterMs }));
          const onFailure = { resetSeconds: forgetFailuresAfterSeconds, message: null, command: null };
          tell(told.onFailure, { ...onFailure, count: actions.length, actions }, calls.FailureActions);
          tell(told.alsoOnExitCode, { value: 1 }, calls.Number);
          tell(told.preshutdown, { value: preshutdownMs }, calls.Number);
        });
      });
    },
    start: async () => {
      withService((service) => check(calls.start(service, 0, null), "StartServiceW", ERROR_SERVICE_ALREADY_RUNNING));
      await until(() => state()?.state !== "starting", startDeadlineMs);
    },
    state,
    stop: async () => {
      const isOver = await until(() => {
        const present = state()?.state ?? "stopped";
        // One that starts takes no stop yet.
        if (present === "running" || present === "paused") askToStop();
        return present === "stopped";
      }, stopDeadlineMs);
      if (!isOver)
        throw new AgentFailure(
          "failed",
          "The service does not end.",
          "End its process in the task manager (Details), and try again.",
        );
    },
    remove: () => {
      withService((service) => check(calls.remove(service), "DeleteService", ERROR_SERVICE_MARKED_FOR_DELETE));
    },
  };
}

function declare({ koffi, advapi32 }: SystemLibraries) {
  const Action = koffi.struct({ type: "uint32_t", afterMs: "uint32_t" });
  return {
    Text: koffi.struct({ text: "str16" }),
    Number: koffi.struct({ value: "uint32_t" }),
    FailureActions: koffi.struct({
      resetSeconds: "uint32_t",
      message: "str16",
      command: "str16",
      count: "uint32_t",
      actions: koffi.pointer(Action),
    }),
    openManager: advapi32.func("intptr_t __stdcall OpenSCManagerW(str16 machine, str16 database, uint32_t access)"),
    open: advapi32.func("intptr_t __stdcall OpenServiceW(intptr_t manager, str16 name, uint32_t access)"),
    create: advapi32.func(
      "intptr_t __stdcall CreateServiceW(intptr_t manager, str16 name, str16 shown, uint32_t access, uint32_t type, uint32_t start, uint32_t error, str16 line, str16 group, void *tag, str16 needs, str16 account, str16 password)",
    ),
    change: advapi32.func(
      "int __stdcall ChangeServiceConfigW(intptr_t service, uint32_t type, uint32_t start, uint32_t error, str16 line, str16 group, void *tag, str16 needs, str16 account, str16 password, str16 shown)",
    ),
    change2: advapi32.func("int __stdcall ChangeServiceConfig2W(intptr_t service, uint32_t what, void *value)"),
    start: advapi32.func("int __stdcall StartServiceW(intptr_t service, uint32_t count, void *words)"),
    control: advapi32.func("int __stdcall ControlService(intptr_t service, uint32_t control, _Out_ void *status)"),
    query: advapi32.func("int __stdcall QueryServiceStatus(intptr_t service, _Out_ void *status)"),
    remove: advapi32.func("int __stdcall DeleteService(intptr_t service)"),
    close: advapi32.func("int __stdcall CloseServiceHandle(intptr_t handle)"),
  };
}

/** Whether it was reached. */
async function until(reached: () => boolean, deadlineMs: number): Promise<boolean> {
  for (const end = Date.now() + deadlineMs; !reached(); await sleep(100)) if (Date.now() > end) return false;
  return true;
}
