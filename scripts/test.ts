/**
 * Runs the checks and tests and closes with one line that counts them all: `N passed, N failed`.
 * `check`: types, lint and unit tests. `all`: integration and end-to-end tests too, with real processes. Exit status 0 if
 * all passed.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { sweepDeadRuns } from "../packages/server/test/test-run.ts";

const root = resolve(import.meta.dirname, "..");
const report = join(root, ".build", "vitest.json");

type Counts = { passed: number; failed: number; skipped: number };

/** What is read of vitest's JSON report. */
type Report = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: { name: string; status: string; assertionResults: unknown[] }[];
};

let running: ChildProcess | undefined;

/** Exit status of one of the installed tools, run under this Node; its output goes straight through. */
function run(module: string, args: string[]): Promise<number> {
  return new Promise((finished) => {
    const child = spawn(process.execPath, [join(root, "node_modules", module), ...args], {
      cwd: root,
      stdio: ["ignore", "inherit", "inherit"],
    });
    running = child;
    child.on("error", () => finished(1));
    child.on("close", (status) => finished(status ?? 1));
  });
}

async function step(name: string, module: string, args: string[]): Promise<Counts> {
  const passed = (await run(module, args)) === 0;
  console.log(`${passed ? "ok    " : "FAILED"} ${name}`);
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 };
}

async function tests(projects: string[]): Promise<Counts> {
  await rm(report, { force: true });
  const selection = projects.flatMap((project) => ["--project", project]);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const status = await run("vitest/vitest.mjs", ["run", ...selection, ...reporters]);
  const counts = await readFile(report, "utf8").then(
    (text) => countsOf(JSON.parse(text)),
    () => ({ passed: 0, failed: 0, skipped: 0 }),
  );
  // A run that broke beside its tests (a crash, an unhandled error, something left behind) has not passed.
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  if (status === 0 && counts.passed === 0) counts.failed += 1;
  return counts;
}

function countsOf(results: Report): Counts {
  const unloaded = results.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + unloaded.length,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

const which = process.argv[2];
if (which !== "check" && which !== "all") {
  console.error("usage: node scripts/test.ts check|all");
  process.exit(2);
}
// Ctrl-C reaches the tools too; this waits for them to clean up, and counts.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => running?.kill("SIGTERM"));
await mkdir(join(root, ".build"), { recursive: true });
const parts = [
  await step("types", "typescript/bin/tsc", ["-p", "."]),
  await step("lint", "@biomejs/biome/bin/biome", ["check", "--error-on-warnings", "."]),
  await tests(which === "all" ? ["unit", "integration", "e2e"] : ["unit"]),
];
await sweepDeadRuns();
const sum = (key: keyof Counts) => parts.reduce((total, part) => total + part[key], 0);
const skipped = sum("skipped") > 0 ? `, ${sum("skipped")} skipped` : "";
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed${skipped}`);
process.exitCode = sum("failed") === 0 ? 0 : 1;
