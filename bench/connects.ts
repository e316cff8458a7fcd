/*
 * New connections a second through Sallyport, against a management client that lets everybody in at once, and against
 * the same OpenVPN with a python3 as its auth-user-pass-verify. An AUTH_NULL script decides, so that no password is
 * digested. Clients run on the same machine and take their share of its time: the CPU time of the server's side alone,
 * which decides on a machine of its own, is told too.
 */
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Child, startChild } from "../packages/server/test/e2e/lab/child.ts";
import { inside } from "../packages/server/test/e2e/lab/network.ts";
import { openLab, until } from "../packages/server/test/e2e/lab.ts";
import { inTurns, median, numberOption, ratio, shown } from "./figures.ts";
import { cpuMs, familyOf } from "./processes.ts";
import { returningClients } from "./returning-clients.ts";

const clients = numberOption("clients", 250);
const seconds = numberOption("seconds", 10);
const rounds = numberOption("rounds", 3);

const script = `
from pyovpn.plugin import *
AUTH_NULL = True

def post_auth(authcred, attributes, authret, info):
    authret["status"] = SUCCEED
    return authret
`;

const verify = `#!/usr/bin/python3
import sys
with open(sys.argv[1]) as credentials:
    user, password = credentials.read().splitlines()
sys.exit(0 if user else 1)
`;

const profile = {
  id: "office",
  displayName: "Office",
  openvpn: { managed: { listen: ["udp/1194"] } },
  ranges: { ipv4: "10.42.0.0/20" },
  routes: ["10.99.0.0/16"],
  dns: ["10.42.0.1"],
};

await using lab = await openLab({ config: { profiles: [profile], connectScriptPath: undefined } });
await lab.daemon.start();
await writeFile(join(lab.directory, "open.py"), script);
await lab.succeed(["post-auth", "add", "open", join(lab.directory, "open.py")]);
await lab.succeed(["post-auth", "activate", "open"]);
const ovpnText = await lab.succeed(["client-config", "issue", "--kind", "server-locked", "--profile", "office"]);
const place = await lab.network.client();
const textAtPort = (port: number) => ovpnText.replaceAll(/^(remote \S+) 1194/gm, `$1 ${port}`);

/** OpenVPN's configuration as Sallyport wrote it. */
const home = join(lab.dataDirectory, "openvpn", "office", "udp-1194");
const configName = (await readdir(home)).find((name) => name.endsWith(".conf")) ?? "";
const usual = (await readFile(join(home, configName), "utf8")).split("\n");

const doNothing = await startOpenVpn("idle", 2194, "10.43", (line) =>
  line.startsWith("management ") ? [`management ${join(lab.directory, "idle", "socket")} unix`] : [line],
);
const peer = await startChild(
  inside(lab.network.server, [
    process.execPath,
    join(import.meta.dirname, "do-nothing-peer.ts"),
    join(lab.directory, "idle", "socket"),
    "10.43",
  ]),
);
await initialized(doNothing);

const verifier = join(lab.directory, "verify.py");
await writeFile(verifier, verify);
await chmod(verifier, 0o755);
const verifying = await startOpenVpn("verify", 3194, "10.44", (line) => {
  if (line.startsWith("management") || line.startsWith("auth-gen-token")) return [];
  if (line !== "auth-user-pass-optional") return [line];
  return [
    ...["script-security 3", `auth-user-pass-verify ${verifier} via-file`],
    ...[
      "ifconfig-pool 10.44.0.2 10.44.15.250 255.255.240.0",
      'push "topology subnet"',
      'push "route-gateway 10.44.0.1"',
    ],
    ...['push "route 10.99.0.0 255.255.0.0"', 'push "dhcp-option DNS 10.44.0.1"', 'push "explicit-exit-notify 1"'],
  ];
});
await initialized(verifying);

const cpu: Record<string, number[]> = { ours: [], idle: [], verify: [] };
const daemonPids = async () => [
  ...(await familyOf(lab.daemon.pid())),
  ...(await lab.daemon.openvpnPids()).filter((pid) => pid !== doNothing.pid && pid !== verifying.pid),
];
const contestants = {
  ours: await contestant("ours", 1194, daemonPids),
  idle: await contestant("idle", 2194, async () => [doNothing.pid, peer.pid]),
  verify: await contestant("verify", 3194, async () => [verifying.pid]),
};
for (const { run } of Object.values(contestants)) await run();
for (const list of Object.values(cpu)) list.length = 0;

const {
  ours,
  idle,
  verify: verified,
} = await inTurns(rounds, {
  ours: contestants.ours.run,
  idle: contestants.idle.run,
  verify: contestants.verify.run,
});
const middle = (name: string) => median(cpu[name] ?? []);
console.log(`connections a second, ${clients} clients that come back, ${rounds} rounds of ${seconds} s, medians:`);
console.log(`  Sallyport ${shown(median(ours))}, server CPU ${shown(middle("ours"))} ms each`);
console.log(`  do-nothing management client ${shown(median(idle))}, server CPU ${shown(middle("idle"))} ms each`);
console.log(
  `  python3 auth-user-pass-verify ${shown(median(verified))}, server CPU ${shown(middle("verify"))} ms each`,
);
ratio("against the do-nothing management client", median(ours) / median(idle), { atLeast: 0.7 });
ratio("against a python3 auth-user-pass-verify", median(ours) / median(verified), { atLeast: 5 });
ratio("by the server's CPU alone, against the do-nothing client", middle("idle") / middle("ours"));
ratio("by the server's CPU alone, against auth-user-pass-verify", middle("verify") / middle("ours"));
for (const { end } of Object.values(contestants)) await end();
for (const child of [peer, doNothing, verifying]) await child.end("SIGTERM");

async function contestant(name: string, port: number, pids: () => Promise<number[]>) {
  const pool = await returningClients({ lab, place, ovpnText: textAtPort(port), name, count: clients });
  return {
    end: pool.end,
    async run(): Promise<number> {
      const serverPids = await pids();
      const before = await cpuMs(serverPids);
      const { aSecond, inAll } = await pool.connectFor(seconds);
      cpu[name]?.push(((await cpuMs(serverPids)) - before) / inAll);
      return aSecond;
    },
  };
}

/** The same openvpn with some lines changed: no AUTH_NULL script, no daemon behind it. */
async function startOpenVpn(
  name: string,
  port: number,
  network: string,
  change: (line: string) => string[],
): Promise<Child> {
  const directory = join(lab.directory, name);
  await mkdir(directory, { mode: 0o700 });
  const lines = usual.flatMap(change).map((line) => {
    if (line.startsWith("lport ")) return `lport ${port}`;
    if (line.startsWith("dev ")) return `dev ${name}`;
    return line.startsWith("ifconfig ") ? line.replaceAll("10.42", network) : line;
  });
  await writeFile(join(directory, "server.conf"), lines.join("\n"));
  return startChild(inside(lab.network.server, ["openvpn", "--config", join(directory, "server.conf")]));
}

async function initialized(server: Child): Promise<void> {
  await until(
    "openvpn to start",
    () => {
      if (server.exited() !== undefined || peer.exited() !== undefined)
        throw new Error(`${server.output()}\n${peer.output()}`);
      return server.output().includes("Initialization Sequence Completed");
    },
    { otherwise: () => server.output() },
  );
}
