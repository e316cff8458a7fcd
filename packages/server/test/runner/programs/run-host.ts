import { createProgramRunner } from "../../../src/runner/programs/program-runner.ts";

// Stands for the daemon: runs a shell script in a directory until it is killed.
const [, , workingDirectory = "", script = ""] = process.argv;
await createProgramRunner({ log: { debug() {}, info() {}, warn() {}, error() {} } }).run({
  path: "/bin/sh",
  args: ["-c", script],
  environment: { PATH: "/usr/bin:/bin" },
  account: undefined,
  workingDirectory,
  stdin: "",
  deadlineMs: 60_000,
  maxOutputBytes: 1_000,
});
