import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../../waiting.ts";

/** What a hook was given on one attempt: its environment, its arguments and its standard input. */
export type HookCall = { environment: Record<string, string>; argumentCount: number; stdin: string };

/** A hook that writes down what it was given, then does what `body` says (shell; exit status 0 unless it says so). */
export type RecordingHook = {
  path: string;
  calls(): Promise<HookCall[]>;
  /** Waits until at least `count` calls fit. */
  called(fits: (call: HookCall) => boolean, options?: { count?: number; deadlineMs?: number }): Promise<HookCall[]>;
};

export async function writeRecordingHook(directory: string, body = ""): Promise<RecordingHook> {
  const log = join(directory, "calls");
  await mkdir(log, { recursive: true });
  await chmod(directory, 0o755);
  const path = join(directory, "hook.sh");
  // One file a call, moved into place when it is whole: many hooks run at once, and any may be killed. The kernel
  // tells the environment as it was given; the shell adds to its own.
  const text = `#!/bin/sh
record='${log}'/.$$
{ cat /proc/$$/environ; printf '\\001%s\\001' "$#"; cat; } > "$record"
mv "$record" '${log}'/$(date +%s%N)-$$
${body}
`;
  await writeFile(path, text, { mode: 0o755 });

  const calls = async () => {
    const names = (await readdir(log)).filter((name) => !name.startsWith(".")).sort();
    return Promise.all(names.map(async (name) => parseCall(await readFile(join(log, name), "utf8"))));
  };
  return {
    path,
    calls,
    called: (fits, { count = 1, deadlineMs = 60_000 } = {}) => {
      let last: HookCall[] = [];
      return until(
        `${count} calls of the hook`,
        async () => {
          last = (await calls()).filter(fits);
          return last.length >= count && last;
        },
        { deadlineMs, otherwise: () => `${last.length} fit` },
      );
    },
  };
}

function parseCall(text: string): HookCall {
  const [variables = "", argumentCount = "", ...rest] = text.split("\u0001");
  const pairs = variables.split("\0").filter((pair) => pair.includes("="));
  const environment = Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  return { environment, argumentCount: Number(argumentCount), stdin: rest.join("\u0001") };
}
