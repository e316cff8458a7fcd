import { win32 } from "node:path";
import type { Account } from "../machine/account.ts";

/** Of a process; undefined where there is no such variable. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Of the machine, without which programs do not start, or do not find what they need; as the agent itself has them. */
const ofTheMachine = [
  ...["SystemRoot", "windir", "SystemDrive", "COMPUTERNAME", "USERDOMAIN", "OS", "NUMBER_OF_PROCESSORS"],
  ...["PROCESSOR_ARCHITECTURE", "PROCESSOR_IDENTIFIER", "ProgramData", "ALLUSERSPROFILE", "PUBLIC"],
  ...["ProgramFiles", "ProgramFiles(x86)", "ProgramW6432"],
  ...["CommonProgramFiles", "CommonProgramFiles(x86)", "CommonProgramW6432"],
];
const ofTheAccount = ["USERPROFILE", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA", "USERNAME", "TEMP", "TMP"];
const all = [...ofTheMachine, ...ofTheAccount].map((name) => name.toUpperCase());

/** Names that are the agent's own there, in any spelling: Windows knows no difference between `Temp` and `TEMP`. */
export function isReservedOnWindows(name: string): boolean {
  return all.includes(name.toUpperCase());
}

/** What a script's environment has on Windows beside what it is told of its connection. */
export function windowsVariables(given: {
  account: Account;
  temporary: string;
  /** Undefined: the privileged service, whose profile is the system's. */
  session: Variables | undefined;
  system: Variables;
  prepath: string;
}): Record<string, string> {
  const { account, temporary, session, system, prepath } = given;
  const home = account.home;
  const root = variableOf(system, "SystemRoot") ?? "C:\\Windows";
  const path = ["\\System32", "", "\\System32\\Wbem", "\\System32\\WindowsPowerShell\\v1.0", "\\System32\\OpenSSH"];
  const machine = ofTheMachine.flatMap((name) => {
    const value = variableOf(system, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  /** Where an administrator has moved it, the session knows. */
  const folder = (name: string, usual: string) => {
    const moved = session === undefined ? undefined : variableOf(session, name);
    return moved !== undefined && win32.isAbsolute(moved) ? moved : win32.join(home, "AppData", usual);
  };
  return {
    ...Object.fromEntries(machine),
    SystemRoot: root,
    // Neither the agent's own PATH nor its ComSpec: both may name what somebody else put there.
    PATH: [...(prepath === "" ? [] : [prepath]), ...path.map((directory) => root + directory)].join(";"),
    PATHEXT: ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC",
    ComSpec: `${root}\\System32\\cmd.exe`,
    USERPROFILE: home,
    HOMEDRIVE: win32.parse(home).root.replace(/\\$/, ""),
    HOMEPATH: `\\${home.slice(win32.parse(home).root.length)}`,
    APPDATA: folder("APPDATA", "Roaming"),
    LOCALAPPDATA: folder("LOCALAPPDATA", "Local"),
    USERNAME: account.name,
    TEMP: temporary,
    TMP: temporary,
    TMPDIR: temporary,
  };
}

function variableOf(variables: Variables, name: string): string | undefined {
  const key = Object.keys(variables).find((one) => one.toUpperCase() === name.toUpperCase());
  return key === undefined ? undefined : variables[key];
}
