import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import type { NameServerSetting, NameServers } from "./name-servers.ts";

const programs = ["/usr/sbin/resolvconf", "/sbin/resolvconf", "/usr/bin/resolvconf"];
const deadlineMs = 5_000;

/**
 * Hands a tunnel's name servers to resolvconf(8), where the machine has one. A machine without it keeps its own, and the
 * log says so.
 */
export function resolvconfNameServers(options: { name: string; log: (text: string) => void }): NameServerSetting {
  const { name, log } = options;
  const run = async (args: readonly string[], input: string) => {
    const program = programs.find((path) => existsSync(path));
    if (program === undefined) return false;
    await new Promise<void>((done) => {
      const settings = { timeout: deadlineMs, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } };
      const child = execFile(program, [...args], settings, (error) => {
        if (error) log(`resolvconf failed: ${error.message}`);
        done();
      });
      child.stdin?.on("error", () => undefined);
      child.stdin?.end(input);
    });
    return true;
  };
  return {
    set: async (wanted) => {
      const { servers } = wanted;
      if (await run(["-a", name], resolvconfText(wanted))) return;
      log(`no resolvconf is installed: the name servers ${servers.join(", ")} were not set`);
    },
    close: async () => void (await run(["-d", name], "")),
  };
}

/** In the form of resolv.conf(5). */
export function resolvconfText({ servers, search }: NameServers): string {
  const domains = search.length === 0 ? "" : `search ${search.join(" ")}\n`;
  return `${servers.map((server) => `nameserver ${server}\n`).join("")}${domains}`;
}
