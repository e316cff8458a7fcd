import fc from "fast-check";
import { expect, test } from "vitest";
import { quoteArgument, splitCommandLine } from "../../src/interpreter/command-line.ts";
import { interpret, spawnOf } from "../../src/interpreter/interpret.ts";
import type { ScriptMachine } from "../../src/interpreter/machine.ts";

/** A machine with these programs; nothing else of it is looked at. */
const windows = (changes: Partial<ScriptMachine> = {}, ...programs: string[]): ScriptMachine => {
  const present = [
    "C:\\Windows\\System32\\cmd.exe",
    "C:\\Windows\\System32\\cscript.exe",
    "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
    "C:\\Tools\\foo.exe",
    "C:\\Tools\\batch.cmd",
    "C:\\Program Files\\Foo Bar\\foo.exe",
    ...programs,
  ].map((path) => path.toLowerCase());
  return {
    platform: "win",
    environment: {
      Path: 'C:\\Windows\\System32;C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\;"C:\\Tools";relative;',
      PATHEXT: ".COM;.EXE;.BAT;.CMD;.VBS",
      SystemRoot: "C:\\Windows",
    },
    directory: "C:\\Users\\Ann Lee\\AppData\\Local\\Temp\\sp-1",
    python: "auto",
    isProgram: (path) => present.includes(path.toLowerCase()),
    ...changes,
  };
};

const own = "C:\\Users\\Ann Lee\\AppData\\Local\\Temp\\sp-1";
const cmd = '"C:\\Windows\\System32\\cmd.exe" /d /v:off';
const powershell = '"C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"';

const lines: [title: string, text: string, commandLine: string, contents?: string][] = [
  ["no shebang: cmd.exe", "echo hello\r\n", `${cmd} /s /c ""${own}\\drives.cmd""`, "echo hello\r\n"],
  ["no shebang, lines of unix", "goto x\n:x\n", `${cmd} /s /c ""${own}\\drives.cmd""`, "goto x\r\n:x\r\n"],
  ["a byte order mark", "\uFEFFecho hello", `${cmd} /s /c ""${own}\\drives.cmd""`, "echo hello"],
  [
    "letters beyond ASCII in a batch file",
    "echo grüß",
    `${cmd} /s /c ""${own}\\drives.cmd""`,
    "@chcp 65001 >nul\r\necho grüß",
  ],
  ["a program in PATH", "#!foo.exe\nbody", `"C:\\Tools\\foo.exe" "${own}\\drives.txt"`, "body"],
  ["options go before the file", "#!foo.exe -a arg\nbody", `"C:\\Tools\\foo.exe" -a arg "${own}\\drives.txt"`],
  ["CRLF and trailing spaces", "#!foo.exe -a arg  \t \r\nbody", `"C:\\Tools\\foo.exe" -a arg "${own}\\drives.txt"`],
  ["a space after the mark", "\uFEFF#! foo.exe -a\nbody", `"C:\\Tools\\foo.exe" -a "${own}\\drives.txt"`],
  ["the extension left out", "#!foo -a\nbody", `"C:\\Tools\\foo.exe" -a "${own}\\drives.txt"`],
  [
    "a quoted path with spaces",
    '#!"c:\\Program Files\\Foo Bar\\foo.exe" -a\nbody',
    `"c:\\Program Files\\Foo Bar\\foo.exe" -a "${own}\\drives.txt"`,
  ],
  [
    "a quoted option with spaces",
    '#!foo.exe -a "two words" "" c:\\x\\\nbody',
    `"C:\\Tools\\foo.exe" -a "two words" "" c:\\x\\ "${own}\\drives.txt"`,
  ],
  [
    "an option that ends in a backslash inside of quotes",
    '#!foo.exe "c:\\a b\\\\" -q\nbody',
    `"C:\\Tools\\foo.exe" "c:\\a b\\\\" -q "${own}\\drives.txt"`,
  ],
  ["an option with a quote in it", '#!foo.exe a\\"b\nbody', `"C:\\Tools\\foo.exe" "a\\"b" "${own}\\drives.txt"`],
  [
    "what cmd.exe would read means nothing to a program",
    "#!foo.exe & calc.exe | x > y %PATH% ^\nbody",
    `"C:\\Tools\\foo.exe" & calc.exe | x > y %PATH% ^ "${own}\\drives.txt"`,
  ],
  ["env", "#!/usr/bin/env foo -a\nbody", `"C:\\Tools\\foo.exe" -a "${own}\\drives.txt"`],
  [
    "a batch file as the program runs in cmd.exe",
    '#!batch.cmd -a "x & y"\nbody',
    `${cmd} /s /c "C:\\Tools\\batch.cmd -a "x & y" "${own}\\drives.txt""`,
  ],
  ["cmd.exe by name", "#!cmd.exe /q /c\necho a", `${cmd} /q /s /c ""${own}\\drives.cmd""`, "echo a"],
  [
    "PowerShell is told that the path is a file",
    "#!powershell.exe -ExecutionPolicy Bypass\n'ä'",
    `${powershell} -ExecutionPolicy Bypass -File "${own}\\drives.ps1"`,
    "\uFEFF#!powershell.exe -ExecutionPolicy Bypass\n'ä'",
  ],
  ["PowerShell with its own -File", "#!powershell.exe -File\n1", `${powershell} -File "${own}\\drives.ps1"`],
  [
    "cscript gets the extension and no first line that is none of its language",
    "#!cscript.exe //B\r\nWScript.Echo 1",
    `"C:\\Windows\\System32\\cscript.exe" //B "${own}\\drives.vbs"`,
    "WScript.Echo 1",
  ],
  [
    "cscript in JScript",
    "#!cscript //E:jscript\n1",
    `"C:\\Windows\\System32\\cscript.exe" //E:jscript "${own}\\drives.js"`,
  ],
  [
    "#EXT: by what the machine opens such files with",
    "#EXT foo\r\nbody",
    `${cmd} /s /c "start "" /wait /b "${own}\\drives.foo""`,
    "body",
  ],
  ["#EXT bat", "#EXT bat\necho a\n", `${cmd} /s /c ""${own}\\drives.bat""`, "echo a\r\n"],
  [
    "#EXT vbs, on the console",
    "#EXT .vbs  \r\nWScript.Echo 1",
    `"C:\\Windows\\System32\\cscript.exe" //NoLogo "${own}\\drives.vbs"`,
    "WScript.Echo 1",
  ],
  [
    "#EXT ps1",
    "#EXT ps1\n1",
    `${powershell} -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "${own}\\drives.ps1"`,
  ],
];

test.each(lines)("the command line is exact: %s", (_title, text, commandLine, contents) => {
  const start = interpret({ text, fileBase: "drives" }, windows());
  expect(start).toMatchObject({ kind: "start", commandLine });
  if (start.kind !== "start") return;
  if (contents !== undefined) expect(start.file.contents).toBe(contents);
  // What Node hands to CreateProcess: argv0 and the arguments as they stand, with one space between them.
  const spawned = spawnOf(start);
  expect([spawned.options.argv0, ...spawned.args].join(" ")).toBe(commandLine);
  expect(`"${spawned.program}"`).toBe(spawned.options.argv0);
});

test("#PYTHON and env python run in the built-in Python, whatever python.exe the machine has", () => {
  for (const first of ["#PYTHON", "#PYTHON  \r", "#!/usr/bin/env python", "#!/usr/bin/env python3 "]) {
    const machine = windows({}, "C:\\Tools\\python.exe");
    expect(interpret({ text: `${first}\nprint(1)\n`, fileBase: "a" }, machine)).toMatchObject({
      kind: "start",
      python: "builtin",
      file: { name: "a.py", contents: `${first}\nprint(1)\n` },
    });
  }
});

test("the setting python: system takes the machine's, and not the place holder that opens the store", () => {
  const script = { text: "#PYTHON\n", fileBase: "a" };
  const store = "C:\\Users\\ann\\AppData\\Local\\Microsoft\\WindowsApps";
  const environment = { PATH: `${store};C:\\Py` };
  const machine = windows({ python: "system", environment }, "C:\\Py\\python.exe", `${store}\\python3.exe`);
  expect(interpret(script, machine)).toMatchObject({
    python: "system",
    commandLine: `"C:\\Py\\python.exe" -I "${own}\\sallyport-runner.py" "${own}\\a.py"`,
  });
  const without = windows({ python: "system", environment: { PATH: store } }, `${store}\\python3.exe`);
  expect(interpret(script, without)).toMatchObject({ kind: "refused", reason: expect.stringContaining("Python 3") });
});

const refusals: [title: string, text: string, reason: string, changes?: Partial<ScriptMachine>][] = [
  ["a program that is not there", "#!bar.exe\n", "there is no bar.exe in PATH"],
  ["a whole path that is not there", '#!"C:\\nowhere\\bar.exe"\n', "there is no program C:\\nowhere\\bar.exe"],
  ["a path with spaces and no quotes", "#!c:\\Program Files\\Foo Bar\\foo.exe\n", "a path with spaces needs quotes"],
  ["a quote that is not closed", '#!"c:\\Program Files\\foo.exe -a\n', "quotes go around a whole path"],
  ["an option's quote that is not closed", '#!foo.exe "a\n', "a quote is not closed"],
  ["no program at all", "#!   \n", "names no program"],
  ["a path of unix", "#!/bin/bash\n", "/bin/bash is no path of Windows"],
  ["a path relative to the script", "#!.\\foo.exe\n", "is no path of Windows"],
  ["a path relative to a drive", "#!c:foo.exe\n", "is no path of Windows"],
  ["an extension that climbs out of the directory", "#EXT ..\\..\\evil\n", "is no file extension"],
  ["an extension with a stream", "#EXT txt:evil.exe\n", "is no file extension"],
  ["no extension", "#EXT\n", "is no file extension"],
  ["a variable in an option for a batch file", "#!batch.cmd %PATH%\n", "percent signs"],
  ["a quote in an option for a batch file", '#!batch.cmd "a\\"&calc"\n', "quotes at the quote"],
  ["a command beside the script", "#!cmd.exe /c calc.exe\n", "the script alone"],
  ["a directory whose name cmd.exe would replace", "echo 1", "percent signs", { directory: "C:\\Users\\%PATH%" }],
  ["a NUL byte", "echo 1\0", "NUL"],
  ["a line that is too long for cmd.exe", `#!batch.cmd ${"a".repeat(8200)}\n`, "longer than cmd.exe allows"],
  ["a line that is too long for Windows", `#!foo.exe ${"a".repeat(33_000)}\n`, "longer than Windows allows"],
];

test.each(refusals)("refused: %s", (_title, text, reason, changes) => {
  expect(interpret({ text, fileBase: "drives" }, windows(changes))).toMatchObject({
    kind: "refused",
    reason: expect.stringContaining(reason),
  });
});

test("a program is found in PATH alone, not in the script's own directory, and never by a relative entry", () => {
  const machine = windows({}, `${own}\\evil.exe`, "relative\\evil.exe", "\\evil.exe");
  expect(interpret({ text: "#!evil.exe\n", fileBase: "a" }, machine)).toMatchObject({ kind: "refused" });
});

const names: [given: string, file: string][] = [
  ["open url", "open_url.cmd"],
  ['a" & calc.exe & "', "a_calc.exe_.cmd"],
  ["%PATH%", "_PATH_.cmd"],
  ["..\\..\\Startup\\x", "_.._Startup_x.cmd"],
  ["../../x", "_.._x.cmd"],
  ["-Command", "Command.cmd"],
  ["drives.cmd", "drives.cmd"],
  ["con", "script-con.cmd"],
  ["COM1.x", "script-COM1.x.cmd"],
  ["x:stream", "x_stream.cmd"],
  ["new\nline", "new_line.cmd"],
  ["", "script-.cmd"],
  ["a".repeat(300), `${"a".repeat(64)}.cmd`],
];

test.each(names)("a hostile name becomes a harmless one: %j", (fileBase, file) => {
  const start = interpret({ text: "echo 1", fileBase }, windows());
  expect(start).toMatchObject({ file: { name: file }, commandLine: `${cmd} /s /c ""${own}\\${file}""` });
});

test("quoting and CommandLineToArgvW's splitting are each other's reverse", () => {
  const argument = fc.string({ unit: fc.constantFrom(" ", "\t", '"', "\\", "a", "&", "%", "^", "ü") });
  fc.assert(
    fc.property(fc.array(argument), (words) => {
      expect(splitCommandLine(words.map(quoteArgument).join(" "))).toEqual(words);
    }),
  );
});

// The examples of Microsoft's "Parsing C command-line arguments".
test.each([
  ['"a b c" d e', ["a b c", "d", "e"]],
  ['"ab\\"c" "\\\\" d', ['ab"c', "\\", "d"]],
  ['a\\\\\\b d"e f"g h', ["a\\\\\\b", "de fg", "h"]],
  ['a\\\\\\"b c d', ['a\\"b', "c", "d"]],
  ['a\\\\\\\\"b c" d e', ["a\\\\b c", "d", "e"]],
  ['a"b"" c d', ['ab" c d']],
])("a command line is split as Windows documents it: %s", (line, words) => {
  expect(splitCommandLine(line)).toEqual(words);
});
