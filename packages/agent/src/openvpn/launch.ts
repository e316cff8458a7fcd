import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { ownPlatform } from "../machine/system.ts";
import { systemEnvironment } from "../machine/system-environment.ts";
import { connectManagement, type ManagementAddress } from "./management.ts";
import type { OpenVpnProcess } from "./session.ts";

const mostLastWords = 16_384;
const endDeadlineMs = 10_000;
/** Whoever else speaks to it hangs up once the service has. */
const askDeadlineMs = 3_000;

export type LaunchedOpenVpn = OpenVpnProcess &
  AsyncDisposable & {
    /** What it says matches; undefined where it has ended without. */
    says(pattern: RegExp): Promise<RegExpExecArray | undefined>;
  };

/** Starts an openvpn in a directory of its own, which is gone when it has ended, as are the other files named. */
export function launchOpenVpn(start: {
  program: string;
  args: readonly string[];
  directory: string;
  management: ManagementAddress;
  /** With each line that it says. */
  onOutput: (line: string) => void;
}): LaunchedOpenVpn {
  const { program, args, directory, management, onOutput } = start;
  const platform = ownPlatform();
  const child = spawn(program, [...args], {
    cwd: directory,
    env: systemEnvironment(platform, process.env),
    stdio: ["ignore", "pipe", "pipe"],
    // On Windows what is not detached is ended by the system when we are gone (libuv's job), and what has a console of its
    // own is not ended by a Ctrl+C that is meant for us.
    detached: platform !== "win",
    windowsHide: true,
  });
  let lastWords = "";
  const listeners = new Set<() => void>();
  const hear = (said: string) => {
    const line = withoutSecrets(said, management);
    if (line.trim() !== "") onOutput(line);
    lastWords = `${lastWords}${line}\n`.slice(-mostLastWords);
    for (const listener of listeners) listener();
  };
  for (const input of [child.stdout, child.stderr]) createInterface({ input }).on("line", hear);
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", () => resolve(lastWords));
  });
  const gone = exited.finally(async () => {
    if ("path" in management) await rm(management.path, { force: true });
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
  });
  const running = () => child.exitCode === null && child.signalCode === null && child.pid !== undefined;
  const askToEnd = async () => {
    if (platform !== "win") return void child.kill("SIGTERM");
    // Windows knows no signal that a program could act on.
    const spoken = { address: management, deadlineMs: askDeadlineMs, stillRuns: running };
    const nothing = () => undefined;
    await connectManagement({ ...spoken, onNotice: nothing, onClose: nothing }).then(
      (open) => open.send("signal SIGTERM"),
      () => child.kill("SIGKILL"),
    );
  };
  return {
    management,
    running,
    exited: gone,
    kill: () => void child.kill("SIGKILL"),
    says: (pattern) =>
      new Promise((resolve) => {
        const listener = () => {
          const said = pattern.exec(lastWords);
          if (said === null) return;
          listeners.delete(listener);
          resolve(said);
        };
        listeners.add(listener);
        listener();
        void exited.then(() => resolve(undefined));
      }),
    [Symbol.asyncDispose]: async () => {
      if (running()) await askToEnd();
      const late = setTimeout(() => child.kill("SIGKILL"), endDeadlineMs);
      await gone;
      clearTimeout(late);
    },
  };
}

/**
 * openvpn itself hides passwords, and neither answers to questions, as it is told of them and as it sends them, nor always
 * the password to its own management interface.
 */
function withoutSecrets(text: string, management: ManagementAddress): string {
  const shown = text.replace(/(cr-response |CR_RESPONSE,)[^'\n]*/g, "$1[...]");
  return "password" in management ? shown.replaceAll(management.password, "[...]") : shown;
}
