import { execFile } from "node:child_process";
import { existsSync } from "node:fs";

const resolvconf = ["/usr/sbin/resolvconf", "/sbin/resolvconf", "/usr/bin/resolvconf"];
const deadlineMs = 5_000;

/**
 * Hands a tunnel's name servers to resolvconf, where the machine has one; an empty list takes them away again. A machine
 * without resolvconf keeps its own, and the log says so.
 */
export async function setNameServers(options: {
  servers: readonly string[];
  /** The tunnel, as resolvconf calls it. */
  name: string;
  log: (text: string) => void;
}): Promise<void> {
  const { servers, name, log } = options;
  const program = resolvconf.find((path) => existsSync(path));
  if (program === undefined) {
    if (servers.length > 0) log(`no resolvconf is installed: the name servers ${servers.join(", ")} were not set`);
    return;
  }
  const args = servers.length === 0 ? ["-d", name] : ["-a", name];
  await new Promise<void>((done) => {
    const child = execFile(
      program,
      args,
      { timeout: deadlineMs, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } },
      (error) => {
        if (error) log(`resolvconf failed: ${error.message}`);
        done();
      },
    );
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(servers.map((server) => `nameserver ${server}\n`).join(""));
  });
}
