import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { AgentFailure } from "../failure.ts";
import { replaceFile } from "../machine/private-directory.ts";
import { believedForRoot, faultForRoot } from "../machine/root-programs.ts";
import { ownProgram } from "./own-program.ts";
import { readPolicy } from "./policy.ts";

const label = "org.sallyport.agent";
const deadlineMs = 20_000;
/** What was there before may take so long to end; launchd says only that something is wrong. */
const bootstrapTries = 15;
const betweenTriesMs = 1_000;

/** launchd's own places; tests have others. */
const launchdOfMac = { launchctl: "/bin/launchctl", directory: "/Library/LaunchDaemons" };

/** What launchd.plist(5) wants: started with the machine, and again whenever it ends, with time for scripts at the end. */
export function launchdPlist(words: readonly string[]): string {
  const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${label}</string>
  <key>ProgramArguments</key>
  <array>
${words.map((word) => `    <string>${escaped(word)}</string>\n`).join("")}  </array>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <true/>
  <key>ExitTimeOut</key>
  <integer>60</integer>
  <key>StandardErrorPath</key>
  <string>/var/log/sallyport-agent.log</string>
</dict>
</plist>
`;
}

type Around = { machine: { policy: string }; print: (text: string) => void };

/**
 * Has launchd start this very program as its service, now and with the machine. Must be root.
 * @throws AgentFailure where somebody else could replace the program, or launchd does not take it
 */
export async function installLaunchd(
  options: { openVpnProgram: string | undefined; words?: readonly string[] },
  { machine, print }: Around,
  launchd = launchdOfMac,
): Promise<void> {
  const words = options.words ?? ownProgram();
  const believed = await believedForRoot((await readPolicy(machine.policy)).programsOf ?? []);
  for (const path of words) {
    const fault = await faultForRoot(path, believed);
    if (fault !== undefined) throw fault;
  }
  const more = options.openVpnProgram === undefined ? [] : ["--openvpn", resolve(options.openVpnProgram)];
  const path = plistIn(launchd.directory);
  await replaceFile(path, launchdPlist([...words, "service", ...more]), 0o644);
  await run(launchd.launchctl, ["bootout", `system/${label}`]);
  for (let left = bootstrapTries; ; left -= 1) {
    const fault = await run(launchd.launchctl, ["bootstrap", "system", path]);
    if (fault === undefined) break;
    if (left === 1) throw new AgentFailure("failed", `launchd does not take the service: ${fault}.`, `See ${path}.`);
    await wait(betweenTriesMs);
  }
  print(
    `launchd runs the service, now and with the machine: ${path}\nIt says what it does in /var/log/sallyport-agent.log\n`,
  );
}

/** Ends the service and has it no longer started. What the owner allowed is left. */
export async function removeLaunchd({ print }: Pick<Around, "print">, launchd = launchdOfMac): Promise<void> {
  await run(launchd.launchctl, ["bootout", `system/${label}`]);
  await rm(plistIn(launchd.directory), { force: true });
  print("launchd does not run the service any more\n");
}

function plistIn(directory: string): string {
  return `${directory}/${label}.plist`;
}

/** Undefined where it succeeds; else what it said. */
function run(program: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((done) => {
    const options = { timeout: deadlineMs, env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" } };
    execFile(program, [...args], options, (error, _stdout, stderr) =>
      done(error === null ? undefined : stderr.trim() || error.message),
    );
  });
}
