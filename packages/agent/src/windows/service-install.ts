import { realpath } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { AgentFailure } from "../failure.ts";
import { quoted } from "../interpreter/command-line.ts";
import { ownProgram } from "../service/own-program.ts";
import { eventSource } from "./event-log.ts";
import { faultOfPrograms } from "./private-files.ts";
import { windowsServiceList } from "./service-list.ts";
import { systemLibraries } from "./system-libraries.ts";

type InstallSurroundings = { machine: { directory: string }; print: (text: string) => void };

/**
 * Has Windows start this very program as its service, now and with the machine. What is installed already is brought to
 * this state. Must be elevated.
 * @throws AgentFailure where others than administrators could replace the program, or it does not come up
 */
export async function installService(
  options: { openVpnProgram: string | undefined },
  { machine, print }: InstallSurroundings,
): Promise<void> {
  const words = await Promise.all(ownProgram().map((path) => realpath(path)));
  const more = options.openVpnProgram === undefined ? [] : [await realpath(resolve(options.openVpnProgram))];
  for (const path of [...words, ...more]) await mustBeAdministratorsAlone(path);
  words.push("service", ...more.flatMap((path) => ["--openvpn", path]));
  const list = await windowsServiceList();
  // A running one would go on as what it was.
  await list.stop();
  list.put(serviceCommandLine(words));
  await nameEvents();
  await list.start();
  const { state, exitCode } = list.state() ?? { state: "stopped", exitCode: 0 };
  if (state !== "running")
    throw new AgentFailure(
      "failed",
      `The service is installed, and ${state} (${exitCode}).`,
      `${join(machine.directory, "service.log")} and the event viewer (Windows Logs, Application) say why.`,
    );
  print(
    "The service runs, and will be started with this machine. Say what it may: sallyport-agent trust --administrator\n",
  );
}

export async function removeService({ machine, print }: InstallSurroundings): Promise<void> {
  const list = await windowsServiceList();
  if (list.state() === undefined) throw new AgentFailure("failed", "There is no service to remove.");
  await list.stop();
  list.remove();
  await forgetEvents();
  print(
    `The service is gone. What you allowed is still in ${machine.directory}; delete it if it is not wanted any more.\n`,
  );
}

/** The line that services.exe starts: each word quoted, for of `C:\\Program Files\\…` it would try `C:\\Program.exe` first. */
export function serviceCommandLine(words: readonly string[]): string {
  return words.map(quoted).join(" ");
}

/** Who may change what SYSTEM runs may do what SYSTEM may. */
async function mustBeAdministratorsAlone(path: string): Promise<void> {
  // Its directory too: libraries are looked for beside a program.
  const fault = (await faultOfPrograms(path)) ?? (await faultOfPrograms(dirname(path)));
  if (fault === undefined) return;
  throw new AgentFailure(
    "not-permitted",
    `SYSTEM would run ${path}, and others than administrators could change what that does: ${fault}.`,
    "As an administrator, copy it to a directory below C:\\Program Files, and install it from there; a file that is moved keeps its rights.",
  );
}

const eventKey = `SYSTEM\\CurrentControlSet\\Services\\EventLog\\Application\\${eventSource}`;
// winreg.h and winnt.h
const HKEY_LOCAL_MACHINE = -0x7ffffffe;
const REG_EXPAND_SZ = 2;
const REG_DWORD = 4;

/** So that the event viewer shows our words alone: of a source without a file of messages it says that it knows none. */
async function nameEvents(): Promise<void> {
  const { advapi32, errorOf } = await systemLibraries();
  const set = advapi32.func(
    "int __stdcall RegSetKeyValueW(intptr_t key, str16 below, str16 name, uint32_t type, const void *value, uint32_t size)",
  );
  // Windows' own program for such events: its messages are the text that they come with.
  const messages = Buffer.from("%SystemRoot%\\System32\\EventCreate.exe\0", "utf16le");
  const code: number = set(HKEY_LOCAL_MACHINE, eventKey, "EventMessageFile", REG_EXPAND_SZ, messages, messages.length);
  if (code !== 0) throw errorOf("RegSetKeyValueW", code);
  const types = Buffer.from([7, 0, 0, 0]);
  set(HKEY_LOCAL_MACHINE, eventKey, "TypesSupported", REG_DWORD, types, types.length);
}

async function forgetEvents(): Promise<void> {
  const { advapi32 } = await systemLibraries();
  advapi32.func("int __stdcall RegDeleteTreeW(intptr_t key, str16 below)")(HKEY_LOCAL_MACHINE, eventKey);
}
