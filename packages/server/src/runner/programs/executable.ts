import { access, constants, open, stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import type { Program, ProgramFacts } from "../runner.ts";

/** How much of a file the kernel reads to find the interpreter (BINPRM_BUF_SIZE). */
const firstLineBytes = 256;

/**
 * Looks at a file as execve would, and says in words what execve says in one error number. The kernel's ENOENT is the
 * same for a missing file and for a missing interpreter: here each has its own words. A text without a first line cannot
 * be started by execve; a shell, and libc's execvp, run it with /bin/sh (POSIX, ENOEXEC), and so may whoever asked.
 */
export async function inspectExecutable(path: string): Promise<ProgramFacts> {
  const fault = await faultOfFile(path);
  if (fault !== null) return { interpreter: null, fault };
  const head = await readHead(path);
  // A binary may be executable and unreadable; execve decides then.
  if (head === undefined) return { interpreter: null, fault: null };
  return factsOfHead(path, head);
}

async function faultOfFile(path: string): Promise<string | null> {
  if (!isAbsolute(path)) return `${path} is not an absolute path; write it from / on`;
  try {
    const file = await stat(path);
    if (file.isDirectory()) return `${path} is a directory; name a program in it`;
    if (!file.isFile()) return `${path} is not a file that can be run`;
    if ((file.mode & 0o111) === 0) return `${path} is not executable; make it so with: chmod 755 ${quoted(path)}`;
    return null;
  } catch (error) {
    return missing(path, codeOf(error));
  }
}

async function missing(path: string, code: string): Promise<string> {
  if (code === "EACCES") return `${path} cannot be reached: a directory on the way may not be entered`;
  if (code !== "ENOENT" && code !== "ENOTDIR") return `${path} cannot be looked at (${code})`;
  const program = path.split(" ")[0] ?? path;
  if (program !== path && (await isFile(program)))
    return `${path} does not exist; ${program} does: a program gets no arguments, so name it alone`;
  return `${path} does not exist; put the program there or correct the path`;
}

async function readHead(path: string): Promise<Buffer | undefined> {
  try {
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(firstLineBytes), 0, firstLineBytes, 0);
    return buffer.subarray(0, bytesRead);
  } catch {
    return undefined;
  }
}

async function factsOfHead(path: string, head: Buffer): Promise<ProgramFacts> {
  if (head.length === 0) return { interpreter: null, fault: `${path} is empty` };
  if (head.subarray(1, 4).toString("latin1") === "ELF" && head[0] === 0x7f) return { interpreter: null, fault: null };
  if (head.subarray(0, 5).toString("latin1") === "\xef\xbb\xbf#!")
    return {
      interpreter: null,
      fault: `${path} begins with a byte-order mark before #!; save it as UTF-8 without one`,
    };
  if (head.subarray(0, 2).toString("latin1") !== "#!") {
    if (!head.includes(0)) return { interpreter: "/bin/sh", fault: null, throughShell: true };
    return { interpreter: null, fault: `${path} is not a program that this machine can run` };
  }
  const line = head.subarray(2).toString("utf8").split("\n", 1)[0] ?? "";
  const interpreter = /^[ \t]*([^ \t]*)/.exec(line)?.[1] ?? "";
  return { interpreter, fault: await faultOfInterpreter(path, interpreter) };
}

async function faultOfInterpreter(path: string, interpreter: string): Promise<string | null> {
  if (interpreter.endsWith("\r"))
    return `${path} has Windows line ends (CRLF), so its interpreter is not found; convert it with: sed -i 's/\\r$//' ${quoted(path)}`;
  if (!isAbsolute(interpreter))
    return `the first line of ${path} does not name its interpreter by an absolute path (it says ${JSON.stringify(interpreter)})`;
  if (!(await isFile(interpreter)))
    return `${path} needs ${interpreter}, which does not exist; install it or correct the first line`;
  const runs = await access(interpreter, constants.X_OK).then(
    () => true,
    () => false,
  );
  return runs ? null : `${path} needs ${interpreter}, which is not executable`;
}

/** What a failed start means where `inspectExecutable` saw nothing wrong. */
export async function faultOfStart(
  { path, account, workingDirectory }: Pick<Program, "path" | "account" | "workingDirectory">,
  code: string,
): Promise<string> {
  const directory = await stat(workingDirectory).catch(() => undefined);
  if (!directory?.isDirectory())
    return `${path} cannot be started: its working directory ${workingDirectory} is missing`;
  const whom = account === undefined ? "this server's account" : `the account ${account}`;
  switch (code) {
    case "EACCES":
      return `${path} may not be run by ${whom} (EACCES): check its mode, its directories' and whether its file system is mounted noexec`;
    case "EPERM":
      return `${path} cannot be run as ${whom} (EPERM): only root can run programs as somebody else`;
    case "ENOENT":
      return `${path} cannot be started (ENOENT): it was just removed, or was built for another system`;
    case "ENOEXEC":
      return `${path} does not say what runs it; make its first line #! and the interpreter, for example #!/bin/sh`;
    case "ETXTBSY":
      return `${path} is being written at this moment (ETXTBSY); replace a running script with mv, not by writing into it`;
    case "E2BIG":
      return `${path} cannot be started (E2BIG): the values to hand over are too long`;
    case "EAGAIN":
    case "ENOMEM":
    case "EMFILE":
    case "ENFILE":
      return `${path} cannot be started (${code}): this machine is out of processes, memory or file descriptors`;
    default:
      return `${path} cannot be started (${code})`;
  }
}

export function codeOf(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return String(error);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (file) => file.isFile(),
    () => false,
  );
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
