import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ScriptFault } from "../runner.ts";

/** The type errors of a script, or why it was not looked at. Never rejects because of a script. */
export type CheckTypes = (script: {
  name: string;
  text: string;
}) => Promise<{ faults: ScriptFault[] } | { unchecked: string }>;

const deadlineMs = 60_000;
const mostFaults = 50;
const file = "script.ts";

/** The compiler as npm installed it: a program of its own, for this machine. */
type Compiler = { path: string; nodeTypes: string };

/**
 * Runs the TypeScript compiler over a script and the SDK, in a process and a directory of their own. The script's text
 * is read, never run.
 */
export function createTypeChecker(): CheckTypes {
  const compiler = findCompiler();
  return async ({ name, text }) => {
    if (/\.[cm]?js$/i.test(name)) return unchecked(`${name} is JavaScript`);
    if ("missing" in compiler) return unchecked(`${compiler.missing} is not installed`);
    const directory = await mkdtemp(join(tmpdir(), "sallyport-types-"));
    try {
      await Promise.all([
        writeFile(join(directory, file), text),
        writeFile(join(directory, "package.json"), '{ "type": "module" }'),
        writeFile(join(directory, "tsconfig.json"), JSON.stringify(configuration(compiler))),
      ]);
      return readDiagnostics(await run(compiler, directory));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
}

const unchecked = (why: string) => ({ unchecked: `types were not checked: ${why}` });

function findCompiler(): Compiler | { missing: string } {
  const resolve = createRequire(import.meta.url).resolve;
  const platform = `@typescript/typescript-${process.platform}-${process.arch}`;
  let wanted = "typescript";
  try {
    const own = createRequire(resolve("typescript/package.json")).resolve;
    wanted = platform;
    const path = join(dirname(own(`${platform}/package.json`)), "lib/tsc");
    wanted = "@types/node";
    return { path, nodeTypes: dirname(dirname(resolve("@types/node/package.json"))) };
  } catch {
    return { missing: `the npm package ${wanted}` };
  }
}

/** As strict as TypeScript is, since nobody tries a gate out on every path; and only syntax that Node can run. */
function configuration({ nodeTypes }: Compiler): object {
  return {
    files: [file],
    compilerOptions: {
      target: "es2024",
      lib: ["es2024", "esnext.disposable"],
      module: "nodenext",
      types: ["node"],
      typeRoots: [nodeTypes],
      paths: { "@sallyport/sdk": [fileURLToPath(new URL("../../../../sdk/typescript/index.ts", import.meta.url))] },
      noEmit: true,
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      erasableSyntaxOnly: true,
      verbatimModuleSyntax: true,
      allowImportingTsExtensions: true,
      resolveJsonModule: false,
      skipLibCheck: true,
    },
  };
}

type Ran = { output: string; failure: string | null };

function run({ path }: Compiler, directory: string): Promise<Ran> {
  // A whole Go program: without a bound it would take what it finds.
  const env = { PATH: "/usr/bin:/bin", GOMEMLIMIT: "1GiB" };
  const options = {
    cwd: directory,
    env,
    timeout: deadlineMs,
    killSignal: "SIGKILL",
    maxBuffer: 4 * 1024 * 1024,
  } as const;
  return new Promise((resolve) => {
    execFile(path, ["-p", directory, "--pretty", "false"], options, (error, output) => {
      // 1 and 2 are its ways to say that it found something.
      const said = error === null || error.code === 1 || error.code === 2;
      const failure = error?.killed ? `it took longer than ${deadlineMs / 1000} s` : (error?.message ?? "");
      resolve({ output, failure: said ? null : failure });
    });
  });
}

/** Lines like `script.ts(3,7): error TS2322: …`, those that belong to one of them indented below it. */
function readDiagnostics({ output, failure }: Ran): { faults: ScriptFault[] } | { unchecked: string } {
  const faults: ScriptFault[] = [];
  const elsewhere: string[] = [];
  let current: ScriptFault | undefined;
  for (const line of output.split("\n")) {
    const [, path, row, column, text = ""] = /^(.*)\((\d+),(\d+)\): error (.*)$/.exec(line) ?? [];
    if (path === undefined) {
      if (current && line.startsWith(" ")) current.message += `\n${line}`;
      else if (line !== "") elsewhere.push(line);
    } else if (path === file) {
      current = { message: text, line: Number(row), column: Number(column) };
      faults.push(current);
    } else {
      current = undefined;
      elsewhere.push(line);
    }
  }
  if (faults.length > 0) return { faults: faults.slice(0, mostFaults) };
  if (failure === null && elsewhere.length === 0) return { faults };
  return unchecked(`the TypeScript compiler failed: ${(failure ?? elsewhere[0] ?? "").slice(0, 500)}`);
}
