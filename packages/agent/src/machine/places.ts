import { posix, win32 } from "node:path";
import type { Platform } from "../interpreter/machine.ts";
import type { Account } from "./account.ts";

/** Where an account's agent keeps what it keeps; all of it only for that account. */
export type Places = {
  directory: string;
  /** What the account agreed to. */
  consent: string;
  /** What servers last had for this account. */
  seen: string;
  /** The machine's name towards servers where it has no hardware address. */
  device: string;
  log: string;
  /** One directory for each script that runs; swept when an agent starts. */
  scripts: string;
  /** One socket for each agent that is connected. */
  control: string;
  /** Client configs as OpenVPN gets them, and its management sockets. */
  tunnels: string;
};

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * `~/.local/share/sallyport-agent`, on Windows `%LOCALAPPDATA%\\sallyport-agent`, which the system keeps for that account.
 * Whoever is an administrator there now has another than the same person has otherwise, who must not be able to change it.
 * `SALLYPORT_AGENT_DIRECTORY`, an absolute path, stands in for it.
 */
export function placesOf(account: Account, environment: Environment, platform: Platform): Places {
  const { isAbsolute, join } = platform === "win" ? win32 : posix;
  const given = environment.SALLYPORT_AGENT_DIRECTORY ?? "";
  if (isAbsolute(given)) return placesIn(given, platform);
  if (platform !== "win") return placesIn(join(account.home, ".local/share/sallyport-agent"), platform);
  if (account.isRoot) return placesIn(join(servicePlaces(platform, environment).directory, "administrator"), platform);
  const local = environment.LOCALAPPDATA ?? join(account.home, "AppData", "Local");
  return placesIn(join(local, "sallyport-agent"), platform);
}

export function placesIn(directory: string, platform: Platform): Places {
  const { join } = platform === "win" ? win32 : posix;
  return {
    directory,
    consent: join(directory, "consent.json"),
    seen: join(directory, "seen"),
    device: join(directory, "device"),
    log: join(directory, "agent.log"),
    scripts: join(directory, "scripts"),
    control: join(directory, "connected"),
    tunnels: join(directory, "tunnels"),
  };
}

/** What the machine's owner decides and the privileged service does; all of it the administrator's alone. */
export type ServicePlaces = { policy: string; socket: string; directory: string };

export function servicePlaces(platform: Platform, environment: Environment): ServicePlaces {
  if (platform === "win") {
    const directory = win32.join(environment.ProgramData ?? "C:\\ProgramData", "sallyport-agent");
    // Windows listens at no file: the name of a pipe.
    return { policy: win32.join(directory, "policy.json"), socket: "\\\\.\\pipe\\sallyport-agent", directory };
  }
  return {
    policy: "/etc/sallyport-agent/policy.json",
    // macOS has no /run.
    socket: platform === "mac" ? "/var/run/sallyport-agent/service.sock" : "/run/sallyport-agent/service.sock",
    // Not below /run: it is often mounted noexec. macOS has no /var/lib.
    directory: platform === "mac" ? "/var/db/sallyport-agent" : "/var/lib/sallyport-agent",
  };
}
