import { open, realpath } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { ProgramRunner } from "../../runner/runner.ts";
import type { Finding } from "./finding.ts";
import { bashisms, expectations, findingsOf, noArguments } from "./shell-rules.ts";
import { codeOf } from "./shell-text.ts";

const mostBytesRead = 1_048_576;

/**
 * Looks at a hook's program without running it: whether it can be started, whether its interpreter reads it, and what
 * its author may have expected otherwise. Empty: nothing was found. In order of lines.
 */
export async function checkProgram(path: string, runner: ProgramRunner): Promise<Finding[]> {
  const { fault, throughShell = false } = await runner.inspect(path);
  const text = await readText(path);
  const findings: Finding[] = fault === null ? [] : [{ severity: "fault", line: null, message: fault }];
  if (text === undefined) return findings;
  const windows = windowsLine(text);
  if (windows !== undefined && fault?.includes("CRLF") !== true) findings.push(windows);
  if (throughShell) findings.push({ severity: "warning", line: 1, message: withoutFirstLine });
  const interpreter = await interpreterOf(throughShell ? "#!/bin/sh" : (text.split(/\r?\n/, 1)[0] ?? ""));
  if (interpreter === undefined) return findings;
  if (fault === null && windows === undefined) findings.push(...(await syntaxFaults(interpreter, path, runner)));
  if (shells.has(interpreter.name)) findings.push(...shellFindings(text, interpreter.name));
  return findings.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

const withoutFirstLine =
  "does not say what runs it, so /bin/sh does; make the first line #! and the interpreter, for example #!/bin/sh";

/** The text of a script; undefined for what is none or cannot be read, of which `inspect` has said what there is. */
async function readText(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(mostBytesRead), 0, mostBytesRead, 0);
    const bytes = buffer.subarray(0, bytesRead);
    return bytes.includes(0) ? undefined : bytes.toString("utf8");
  } catch {
    return undefined;
  }
}

function windowsLine(text: string): Finding | undefined {
  const line = text.split("\n").findIndex((candidate) => candidate.endsWith("\r"));
  if (line < 0) return undefined;
  const message = "Windows line ends (CRLF); convert them with: sed -i 's/\\r$//' FILE";
  return { severity: "fault", line: line + 1, message };
}

type Interpreter = { path: string; name: string };

const shells = new Set(["sh", "dash", "ash", "bash"]);

/** Who reads the script in the end: `/bin/sh` is followed to dash or bash, and `/usr/bin/env NAME` to NAME. */
async function interpreterOf(firstLine: string): Promise<Interpreter | undefined> {
  const [, first = "", argument = ""] = /^#![ \t]*(\S+)[ \t]*(.*?)\s*$/.exec(firstLine) ?? [];
  if (first === "") return undefined;
  if (basename(first) === "env") {
    const name = argument.split(/\s+/).find((word) => !word.startsWith("-") && !word.includes("="));
    return name === undefined ? undefined : { path: "/usr/bin/env", name: basename(name) };
  }
  const path = await realpath(resolve(first)).catch(() => first);
  const name = basename(first) === "sh" ? basename(path) : basename(first);
  return { path: first, name };
}

/** Has the interpreter read the script without running it. */
async function syntaxFaults(interpreter: Interpreter, path: string, runner: ProgramRunner): Promise<Finding[]> {
  const args = shells.has(interpreter.name)
    ? ["-n", path]
    : /^python3(\.\d+)?$/.test(interpreter.name) && ["-I", "-c", compileOnly, path];
  if (!args) return [];
  const result = await runner.run({
    path: interpreter.path,
    args: interpreter.path === "/usr/bin/env" ? [interpreter.name, ...args] : args,
    environment: { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" },
    account: undefined,
    workingDirectory: "/",
    stdin: "",
    deadlineMs: 10_000,
    maxOutputBytes: 4_096,
  });
  if (result.outcome === "exited" && result.exitStatus === 0) return [];
  const said = result.output.trim().split("\n").filter(Boolean);
  const line = lineNumber.exec(said.findLast((candidate) => lineNumber.test(candidate)) ?? "");
  // Shells say it in their first line, Python in its last.
  const complaint = shells.has(interpreter.name) ? said[0] : said.at(-1);
  const message = `${interpreter.name} cannot read it: ${complaint ?? result.error ?? result.outcome}`;
  return [{ severity: "fault", line: line === null ? null : Number(line[1]), message }];
}

const compileOnly = 'import sys\nwith open(sys.argv[1], "rb") as f: compile(f.read(), sys.argv[1], "exec")';
const lineNumber = /(?::\s*(?:line )?|, line )(\d+)(?::|$|,)/;

function shellFindings(text: string, shell: string): Finding[] {
  const code = codeOf(text);
  const callsFunctions = /(?:^|\s)\w+\s*\(\)/.test(code) || /(?:^|[;\s])set\s+--/.test(code);
  return [
    ...findingsOf(code, expectations),
    ...(shell === "bash" ? [] : findingsOf(code, bashisms)),
    ...(callsFunctions ? [] : findingsOf(code, [noArguments])),
  ];
}
