import { expect, test } from "vitest";
import { refusedNames, scriptEnvironment } from "../../src/scripts/environment.ts";
import type { Variables } from "../../src/scripts/windows-environment.ts";

const connection = {
  ...{ ipFour: "10.42.0.9", ipSix: undefined, userId: "alice", profileId: "office", server: "vpn.example.org" },
  ...{ reconnects: 2, graceful: true },
};
const told = {
  ...{ N_RECONNECTS: "2", GRACEFUL_DISCONNECT: "1", VPN_IP_FOUR: "10.42.0.9", VPN_USER_ID: "alice" },
  ...{ VPN_PROFILE_ID: "office", VPN_SERVER: "vpn.example.org" },
};
/** As a session of Windows 11 has them, and what somebody put there. */
const ofWindows = {
  ...{ systemroot: "D:\\Windows", windir: "D:\\Windows", SystemDrive: "D:", OS: "Windows_NT", Path: "C:\\evil" },
  ...{ ComSpec: "C:\\evil\\cmd.exe", PATHEXT: ".EVIL", TEMP: "C:\\evil", PSModulePath: "C:\\evil", SECRET: "x" },
  ...{ ProgramData: "D:\\ProgramData", "ProgramFiles(x86)": "D:\\Program Files (x86)", COMPUTERNAME: "PC-7" },
};
const onWindows = (session: Variables | undefined, defined: Record<string, string> = {}) =>
  scriptEnvironment({
    ...{ platform: "win", connection, defined, session, system: ofWindows, temporary: "D:\\s\\tmp" },
    account: { name: "alice", home: "D:\\Users\\alice", uid: -1, isRoot: false },
  });
const path = (...before: string[]) =>
  [
    ...before,
    ...["D:\\Windows\\System32", "D:\\Windows", "D:\\Windows\\System32\\Wbem"],
    ...["D:\\Windows\\System32\\WindowsPowerShell\\v1.0", "D:\\Windows\\System32\\OpenSSH"],
  ].join(";");
const usual = {
  ...{ SystemRoot: "D:\\Windows", windir: "D:\\Windows", SystemDrive: "D:", OS: "Windows_NT", COMPUTERNAME: "PC-7" },
  ...{ ProgramData: "D:\\ProgramData", "ProgramFiles(x86)": "D:\\Program Files (x86)", PATH: path() },
  ...{ PATHEXT: ".COM;.EXE;.BAT;.CMD;.VBS;.VBE;.JS;.JSE;.WSF;.WSH;.MSC", ComSpec: "D:\\Windows\\System32\\cmd.exe" },
  ...{ USERPROFILE: "D:\\Users\\alice", HOMEDRIVE: "D:", HOMEPATH: "\\Users\\alice", USERNAME: "alice" },
  ...{ APPDATA: "D:\\Users\\alice\\AppData\\Roaming", LOCALAPPDATA: "D:\\Users\\alice\\AppData\\Local" },
  ...{ TEMP: "D:\\s\\tmp", TMP: "D:\\s\\tmp", TMPDIR: "D:\\s\\tmp" },
};

const windows: [title: string, made: Record<string, string>, expected: Record<string, string>][] = [
  ["of a user", onWindows({}), { ...usual, ...told }],
  ["of the machine's owner", onWindows(undefined), { ...usual, ...told }],
  [
    "with directories before its PATH, and a variable",
    onWindows({}, { PREPATH: "D:\\Tools;D:\\More", DRIVE: "Z:" }),
    { ...usual, ...told, PREPATH: "D:\\Tools;D:\\More", DRIVE: "Z:", PATH: path("D:\\Tools", "D:\\More") },
  ],
  [
    "of a user whose folders were moved to a share",
    onWindows({ AppData: "\\\\files\\alice", LOCALAPPDATA: "relative" }),
    { ...usual, ...told, APPDATA: "\\\\files\\alice" },
  ],
];

test.each(windows)(
  "on Windows a script has what programs there need, and nothing else: %s",
  (_title, made, expected) => {
    expect(made).toEqual(expected);
  },
);

test("on unix it has none of that, and its session's display where there is one", () => {
  const made = scriptEnvironment({
    ...{ platform: "linux", connection, defined: { TEMP: "1" }, temporary: "/s/tmp", system: ofWindows },
    session: { DISPLAY: ":7", LD_PRELOAD: "/evil.so", LANG: "de_DE.UTF-8" },
    account: { name: "alice", home: "/home/alice", uid: 1000, isRoot: false },
  });
  expect(made).toEqual({
    ...told,
    ...{ DISPLAY: ":7", TEMP: "1", HOME: "/home/alice", USER: "alice", LOGNAME: "alice", LANG: "de_DE.UTF-8" },
    ...{ TMPDIR: "/s/tmp", PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  });
});

test.each([
  ["a user", 501, "/opt/homebrew/bin:/opt/homebrew/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
  ["the machine's owner, for whom nothing is run that somebody else can change", 0, "/usr/sbin:/usr/bin:/sbin:/bin"],
] as const)("on macOS programs are found for %s where they are", (_who, uid, expected) => {
  const made = (defined: Record<string, string>) =>
    scriptEnvironment({
      ...{ platform: "mac", connection, defined, temporary: "/s/tmp", system: {}, session: {} },
      account: { name: "alice", home: "/Users/alice", uid, isRoot: uid === 0 },
    });
  expect(made({})).toMatchObject({ PATH: expected, LANG: "en_US.UTF-8" });
  expect(made({ PREPATH: "/opt/tools" })).toMatchObject({ PATH: `/opt/tools:${expected}` });
});

test.each([
  ["linux", ["PREPATH", "DRIVE", "TEMP", "userprofile"], []],
  ["linux", ["LD_PRELOAD", "ld_preload", "IFS", "TAR_OPTIONS", "DOTNET_STARTUP_HOOKS"], undefined],
  ["win", ["PREPATH", "DRIVE", "TEMPLATE"], []],
  ["win", ["Path", "ComSpec", "PathExt", "systemroot", "Temp", "tmp", "AppData", "UserProfile"], undefined],
  ["win", ["COR_PROFILER", "CORECLR_PROFILER_PATH", "PSModulePath", "ProgramFiles(x86)"], undefined],
] as const)("of what administrators may define, on %s of %j", (platform, names, refused) => {
  const defined = Object.fromEntries(names.map((name) => [name, "x"]));
  expect(refusedNames(defined, platform)).toEqual(refused ?? names);
});
