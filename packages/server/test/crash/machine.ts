import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { inside, type Place } from "../e2e/lab/network.ts";
import { until } from "../e2e/lab.ts";
import { processesUnder } from "./processes.ts";

const execute = promisify(execFile);

/**
 * What the machine itself still has of clients, asked of the VPN daemons and the kernel and not of Sallyport: tunnels,
 * routes to a client's address, rules that name one. Empty when nobody is in.
 */
export async function leftOnMachine(options: {
  server: Place;
  directory: string;
  /** Finds clients' addresses in text; the servers' own do not match. */
  clientAddress: RegExp;
}): Promise<string[]> {
  const { server, directory, clientAddress } = options;
  const tunnels = await tunnelsOfOpenVpn(directory, clientAddress);
  const shown = async (...words: string[]) => {
    const [program = "", ...args] = inside(server, words);
    return (await execute(program, args)).stdout.split("\n");
  };
  const routes = await shown("ip", "route", "show", "table", "main");
  const rules = await shown("nft", "list", "ruleset");
  const naming = (lines: string[], what: string) =>
    lines.filter((line) => clientAddress.test(line)).map((line) => `${what}: ${line.trim()}`);
  return [...tunnels, ...naming(routes, "a route"), ...naming(rules, "a rule")];
}

/** The public keys of its peers, in order; empty while there is no such interface. */
export async function wireGuardPeers(server: Place, name: string): Promise<string[]> {
  const [program = "", ...args] = inside(server, ["wg", "show", name, "peers"]);
  const { stdout } = await execute(program, args).catch(() => ({ stdout: "" }));
  return stdout.split("\n").filter(Boolean).sort();
}

/** The lines on clients; each openvpn writes its list into its log when it gets SIGUSR2, whoever is attached to it. */
export async function tunnelsOfOpenVpn(directory: string, clientAddress: RegExp): Promise<string[]> {
  const servers = (await processesUnder(directory)).filter(
    ({ name, words }) => name === "openvpn" && words.some((word) => /server-[0-9a-f]+\.conf$/.test(word)),
  );
  const lists = await Promise.all(
    servers.map(async ({ pid, words }) => {
      const log = join(dirname(words.at(-1) ?? ""), "openvpn.log");
      const before = (await stat(log)).size;
      process.kill(pid, "SIGUSR2");
      const list = await until(`the list of openvpn ${pid}`, async () => {
        const text = (await readFile(log)).subarray(before).toString("utf8");
        return text.includes("GLOBAL STATS") && text;
      });
      return list.split("\n").filter((line) => clientAddress.test(line));
    }),
  );
  return lists.flat().map((line) => `a tunnel: ${line}`);
}
