import { join } from "node:path";
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

/** `SALLYPORT_AGENT_DIRECTORY` stands in for `~/.local/share/sallyport-agent`. */
export function placesOf(account: Account, environment: NodeJS.ProcessEnv): Places {
  const given = environment.SALLYPORT_AGENT_DIRECTORY;
  return placesIn(given?.startsWith("/") ? given : join(account.home, ".local/share/sallyport-agent"));
}

export function placesIn(directory: string): Places {
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

/** What the machine's owner decides and the privileged service does; all of it root's. */
export const servicePlaces = {
  policy: "/etc/sallyport-agent/policy.json",
  socket: "/run/sallyport-agent/service.sock",
  /** Not below /run: it is often mounted noexec. */
  directory: "/var/lib/sallyport-agent",
} as const;
