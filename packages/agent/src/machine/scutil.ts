import { spawn } from "node:child_process";
import type { NameServerSetting, NameServers } from "./name-servers.ts";

const program = "/usr/sbin/scutil";
const deadlineMs = 5_000;
const mostHeard = 16_384;

/**
 * Tells macOS' configuration of a tunnel's name servers, by scutil(8) on its standard input. They are temporary there: they
 * go when this scutil ends, and it ends when its input does, so a killed agent leaves none.
 */
export function scutilNameServers(options: {
  name: string;
  log: (text: string) => void;
  program?: string;
}): NameServerSetting {
  const { name, log } = options;
  let scutil: Scutil | undefined;
  return {
    set: async (wanted) => {
      if (scutil?.ended() !== false) scutil = startScutil(options.program ?? program);
      const answer = await scutil.ask(scutilText(name, wanted), /ServerAddresses/);
      if (answer !== undefined) log(`the name servers ${wanted.servers.join(", ")} were not set: ${answer}`);
    },
    close: async () => {
      await scutil?.end(`remove ${keyOf(name)}\nquit\n`);
      scutil = undefined;
    },
  };
}

const keyOf = (name: string) => `State:/Network/Service/${name}/DNS`;

/**
 * What scutil is told: these name servers for all names, and then to show what it has. An empty domain matches every name
 * (NEDNSSettings' matchDomains); those after it are also what is tried behind a name without a dot. Nothing in an address
 * or a domain means anything to scutil's own reading (`believableNameServers`).
 */
export function scutilText(name: string, { servers, search }: NameServers): string {
  const key = keyOf(name);
  return [
    `remove ${key}`,
    "d.init",
    `d.add ServerAddresses * ${servers.join(" ")}`,
    ...(search.length === 0 ? [] : [`d.add SearchDomains * ${search.join(" ")}`]),
    `d.add SupplementalMatchDomains * ${['""', ...search].join(" ")}`,
    `add ${key} temporary`,
    `show ${key}`,
    "",
  ].join("\n");
}

type Scutil = {
  ended(): boolean;
  /** Undefined once it has answered so; else what it said instead. */
  ask(text: string, answer: RegExp): Promise<string | undefined>;
  end(text: string): Promise<void>;
};

function startScutil(path: string): Scutil {
  // In a session of its own: no key of the terminal ends it before the tunnel does.
  const child = spawn(path, [], { stdio: ["pipe", "pipe", "pipe"], env: { PATH: "/usr/bin:/bin" }, detached: true });
  let heard = "";
  let over = false;
  const listeners = new Set<() => void>();
  const hear = (chunk: Buffer) => {
    heard = (heard + chunk.toString("utf8")).slice(-mostHeard);
    for (const listener of listeners) listener();
  };
  const end = (why: string) => {
    over = true;
    hear(Buffer.from(why));
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  child.stdin.on("error", () => undefined);
  child.once("error", (error) => end(error.message));
  child.once("exit", () => end(""));
  /** Whether it came to be within the deadline. */
  const until = (condition: () => boolean) =>
    new Promise<boolean>((resolve) => {
      const settle = (came: boolean) => {
        clearTimeout(late);
        listeners.delete(look);
        resolve(came);
      };
      const look = () => {
        if (condition()) settle(true);
      };
      const late = setTimeout(() => settle(false), deadlineMs);
      listeners.add(look);
      look();
    });
  return {
    ended: () => over,
    ask: async (text, answer) => {
      heard = "";
      child.stdin.write(text);
      await until(() => answer.test(heard) || over);
      if (answer.test(heard)) return undefined;
      return heard.trim() || (over ? "scutil ended" : "scutil does not answer");
    },
    end: async (text) => {
      child.stdin.end(text);
      if (!(await until(() => over))) child.kill("SIGKILL");
    },
  };
}
