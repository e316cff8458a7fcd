import { join } from "node:path";
import { closeInheritedDescriptors } from "../../../src/runner/programs/inherited-descriptors.ts";
import { createProgramRunner } from "../../../src/runner/programs/program-runner.ts";

// Stands for the daemon: started with descriptors that its starter left open.
closeInheritedDescriptors();
const { output } = await createProgramRunner({ log: { debug() {}, info() {}, warn() {}, error() {} } }).run({
  path: join(import.meta.dirname, "fixtures", "list-descriptors"),
  args: [],
  environment: { PATH: "/usr/bin:/bin" },
  account: undefined,
  workingDirectory: "/",
  stdin: "",
  deadlineMs: 20_000,
  maxOutputBytes: 1_000,
});
process.stdout.write(JSON.stringify({ output }));
