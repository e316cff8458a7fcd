import { execFile } from "node:child_process";
import { rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AgentFailure } from "../failure.ts";
import { replaceFile } from "../machine/private-directory.ts";
import { whoElseCanChange } from "../machine/who-can-change.ts";
import { ownProgram } from "./own-program.ts";

const unit = "sallyport-agent.service";
/** A service that is started anew ends first, for which it may take its time. */
const deadlineMs = 90_000;

/** systemd's own places; tests have others. */
const systemdOfLinux = {
  systemctl: "systemctl",
  directory: "/etc/systemd/system",
  /** There while it runs the system, as sd_booted(3) says. */
  running: "/run/systemd/system",
};

/** What systemd.service(5) wants: started with the machine, again when it failed, with time for scripts at the end. */
export function systemdUnit(words: readonly string[]): string {
  return `[Unit]
Description=Sallyport agent

[Service]
ExecStart=${words.map(quoted).join(" ")}
Restart=on-failure
RestartSec=2
# What it runs on disconnect is its own to end.
KillMode=mixed
TimeoutStopSec=60

[Install]
WantedBy=multi-user.target
`;
}

/** A word of a command line that means itself, by systemd.service(5), COMMAND LINES. */
function quoted(word: string): string {
  const meant = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w@%+=:,./$-]+$/.test(meant) ? meant : `"${meant.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

type Around = { print: (text: string) => void };

/**
 * Has systemd start this very program as its service, now and with the machine. Must be root.
 * @throws AgentFailure where somebody else could change the program, or systemd does not take it
 */
export async function installSystemd(
  options: { openVpnProgram: string | undefined; words?: readonly string[] },
  { print }: Around,
  systemd = systemdOfLinux,
): Promise<void> {
  const isRunning = await stat(systemd.running).then(
    () => true,
    () => false,
  );
  if (!isRunning)
    throw new AgentFailure(
      "failed",
      "systemd does not run this system.",
      "Have what starts services here run `sallyport-agent service` as root.",
    );
  const words = options.words ?? ownProgram();
  for (const path of words) {
    const changeable = await whoElseCanChange(path, { uids: [0], groups: [0] });
    if (changeable !== undefined)
      throw new AgentFailure(
        "not-permitted",
        `Root would run ${path}, and ${changeable.by} can change ${changeable.path}.`,
        "Install it where only root can write, say /usr/local/lib/sallyport-agent, and say it there.",
      );
  }
  const more = options.openVpnProgram === undefined ? [] : ["--openvpn", resolve(options.openVpnProgram)];
  const path = join(systemd.directory, unit);
  await replaceFile(path, systemdUnit([...words, "service", ...more]), 0o644);
  for (const args of [["daemon-reload"], ["enable", unit], ["restart", unit]]) await systemctl(systemd.systemctl, args);
  print(
    `systemd runs the service, now and with the machine: ${path}\nIt says what it does in: journalctl -u ${unit}\n`,
  );
}

/** Ends the service and has it no longer started. What the owner allowed is left. */
export async function removeSystemd({ print }: Around, systemd = systemdOfLinux): Promise<void> {
  await systemctl(systemd.systemctl, ["disable", "--now", unit]);
  await rm(join(systemd.directory, unit), { force: true });
  await systemctl(systemd.systemctl, ["daemon-reload"]);
  print("systemd does not run the service any more\n");
}

async function systemctl(program: string, args: readonly string[]): Promise<void> {
  const options = { timeout: deadlineMs, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } };
  await new Promise<void>((done, failed) => {
    execFile(program, [...args], options, (error, _stdout, stderr) => {
      if (error === null) return done();
      const said = stderr.trim() || error.message;
      failed(new AgentFailure("failed", `systemctl ${args.join(" ")}: ${said}`, `See systemctl status ${unit}.`));
    });
  });
}
