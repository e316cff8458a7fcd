import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createProgramRunner } from "../../../src/runner/programs/program-runner.ts";
import type { Program, ProgramResult, ProgramRunner } from "../../../src/runner/runner.ts";
import { until } from "../../waiting.ts";
import { isRunning } from "../processes.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spawner-test-"));
});

afterEach(() => rm(directory, { recursive: true, force: true }));

function run(runner: ProgramRunner, script: string, changes: Partial<Program> = {}): Promise<ProgramResult> {
  return runner.run({
    path: "/bin/sh",
    args: ["-c", script],
    environment: { PATH: "/usr/bin:/bin" },
    account: undefined,
    workingDirectory: directory,
    stdin: "",
    deadlineMs: 30_000,
    maxOutputBytes: 16_384,
    ...changes,
  });
}

const pidIn = async (name: string) => Number(await readFile(join(directory, name), "utf8"));
/** Leaves word of its process and of a child's, and waits. */
const lasting = `sleep 600 & echo $! > child.new; echo $$ > leader; mv child.new child; wait`;
const bothRun = () => until("the program runs", () => existsSync(join(directory, "child")));

describe("a process that starts programs", () => {
  it("killed, takes what it started with it, which has failed as crashed, and is replaced", async () => {
    const runner = createProgramRunner({ log: silent, spawners: 1 });
    const first = run(runner, lasting);
    await bothRun();
    const [spawner = 0] = runner.spawnerPids();
    process.kill(spawner, "SIGKILL");
    expect(await first).toMatchObject({ outcome: "signalled", exitStatus: null, signal: "SIGKILL" });
    expect((await first).error).toContain("/bin/sh was ended: the process that starts programs");
    for (const pid of [await pidIn("leader"), await pidIn("child")])
      await until("what it started is gone", () => !isRunning(pid));
    expect(await run(runner, "echo again")).toMatchObject({ outcome: "exited", output: "again\n" });
    expect(runner.spawnerPids()).not.toContain(spawner);
  });

  it("stuck past a deadline, is killed and replaced, and those beside it are not held up", async () => {
    const runner = createProgramRunner({ log: silent, spawners: 2 });
    await Promise.all([run(runner, "sleep 0.1"), run(runner, "sleep 0.1")]);
    const [stuck = 0] = runner.spawnerPids();
    process.kill(stuck, "SIGSTOP");
    const held = run(runner, "true", { deadlineMs: 100 });
    expect(await run(runner, "echo beside")).toMatchObject({ output: "beside\n" });
    expect(await held).toMatchObject({ outcome: "signalled" });
    await until("the stuck one is gone", () => !isRunning(stuck));
    expect(await run(runner, "echo again")).toMatchObject({ output: "again\n" });
  });

  it("is not taken for stuck where the daemon itself stood still past a deadline", async () => {
    const runner = createProgramRunner({ log: silent, spawners: 1 });
    const late = run(runner, "sleep 600", { deadlineMs: 1_000 });
    const beside = run(runner, "echo $$ > leader.new; mv leader.new leader; sleep 6; echo done");
    await until("the program runs", () => existsSync(join(directory, "leader")));
    // From where timers are looked at before anything is read.
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4_500));
    expect(await late).toMatchObject({ outcome: "timed-out" });
    expect(await beside).toMatchObject({ outcome: "exited", output: "done\n" });
  });

  it("ends with the daemon, and what it started with it: the next daemon tells it again", async () => {
    const host = spawn(process.execPath, [join(import.meta.dirname, "run-host.ts"), directory, lasting]);
    await bothRun();
    const running = [await pidIn("leader"), await pidIn("child")];
    host.kill("SIGKILL");
    await once(host, "exit");
    for (const pid of running) await until("what it started is gone", () => !isRunning(pid));
  });

  it("is not ended by the signals that a terminal or a service manager sends to all", async () => {
    const runner = createProgramRunner({ log: silent, spawners: 1 });
    const running = run(runner, "echo $$ > leader.new; mv leader.new leader; while [ ! -e go ]; do sleep 0.02; done");
    await until("the program runs", () => existsSync(join(directory, "leader")));
    const [spawner = 0] = runner.spawnerPids();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(spawner, signal);
    await run(runner, "touch go");
    expect(await running).toMatchObject({ outcome: "exited", exitStatus: 0 });
    expect(runner.spawnerPids()).toEqual([spawner]);
  });

  it("that cannot be started is told with what is missing", async () => {
    const runner = createProgramRunner({ log: silent, python: "/opt/no/such/python3" });
    const result = await run(runner, "true");
    expect(result).toMatchObject({ outcome: "not-started", exitStatus: null });
    expect(result.error).toMatch(/\/bin\/sh cannot be started: .*\/opt\/no\/such\/python3.*; is python3 installed\?/);
  });

  it("reads more than a pipe holds from many at once, and drops what children left behind go on printing", async () => {
    const runner = createProgramRunner({ log: silent });
    const left = await run(runner, "(while [ ! -e stop ]; do echo more; done; touch stopped) & echo first");
    const printed = "i=0; while [ $i -lt 200 ]; do printf '%01000d' $i; i=$((i + 1)); done";
    const many = await Promise.all(
      Array.from({ length: 12 }, () => run(runner, printed, { maxOutputBytes: 1_000_000 })),
    );
    expect(many.map(({ output }) => output.length)).toEqual(many.map(() => 200_000));
    expect(left.output).toContain("first\n");
    await run(runner, "touch stop");
    await until("the child ended by itself", () => existsSync(join(directory, "stopped")));
  });
});
