import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startChild } from "./lab/child.ts";
import type { ConnectionRow } from "./lab/ledger.ts";
import { inside } from "./lab/network.ts";
import { interfaceName } from "./lab/wireguard-client.ts";
import { type Client, type Lab, openLab, until } from "./lab.ts";

const execute = promisify(execFile);
const password = "correct horse";

const office = {
  id: "office",
  openvpn: { managed: { listen: ["udp/1194"] } },
  ranges: { ipv4: "10.42.0.0/20" },
  routes: ["10.99.0.0/16"],
};
const officeOverBoth = { ...office, openvpn: { managed: { listen: ["udp/1194", "tcp/1194"] } } };
const guests = { id: "guests", openvpn: { managed: { listen: ["udp/1195"] } }, ranges: { ipv4: "10.44.0.0/24" } };
const mobile = {
  id: "mobile",
  wireguard: { managed: { interface: interfaceName(), listenPort: 51_820 } },
  ranges: { ipv4: "10.43.0.0/24" },
};

let lab: Lab;
let alice: Client;

beforeAll(async () => {
  lab = await openLab({ config: { profiles: [office] } });
  await lab.daemon.start();
  await lab.addUser("alice", password);
  await lab.addUser("bob", password);
  alice = await lab.client({ ovpnText: await lab.issue("alice"), user: "alice", password });
  await alice.connected();
});

afterAll(() => lab?.[Symbol.asyncDispose]());

/** Reads the configuration again, and resolves with what the log says of it. */
async function reload(profiles: readonly object[], changes: object = {}): Promise<string> {
  await lab.configure({ profiles, ...changes });
  const from = lab.daemon.output().length;
  lab.daemon.signal("SIGHUP");
  return await until("the reload", () => /^.*"(?:not )?reloaded: .*$/m.exec(lab.daemon.output().slice(from))?.[0], {
    otherwise: () => lab.daemon.output().slice(from),
  });
}

async function onServer(...words: string[]): Promise<string> {
  const [program = "", ...args] = inside(lab.network.server, words);
  return (await execute(program, args)).stdout;
}

/** What the machine lets pass and where to, without counts. */
const network = async () => [
  await onServer("nft", "--stateless", "list", "ruleset"),
  await onServer("cat", "/proc/sys/net/ipv4/ip_forward"),
  await onServer("ip", "-4", "route"),
];

const connections = (user: string) => lab.json<ConnectionRow[]>(["connection", "list", "--user", user]);

/** She is where she was, by the same tunnel. */
async function aliceNoticedNothing(id: string | undefined): Promise<void> {
  expect((await connections("alice")).map((row) => row.id)).toEqual([id]);
  expect(alice.timesConnected()).toBe(1);
  expect(await alice.ping(lab.innerAddress)).toBe(true);
}

test("profiles and listeners that are new are served after a reload, and nobody who is connected notices", async () => {
  const [row] = await connections("alice");
  expect(await reload([officeOverBoth, guests, mobile])).toContain('"reloaded: ');
  await aliceNoticedNothing(row?.id);

  const overTcp = (await lab.issue("bob")).replace(/^remote \S+ \d+ udp\S*\n/gm, "").replace(/^explicit-exit.*\n/m, "");
  expect(overTcp).toMatch(/^remote \S+ 1194 tcp/m);
  const guest = await lab.issue("bob", "guests");
  for (const [ovpnText, gateway] of [
    [overTcp, "10.42.0.1"],
    [guest, "10.44.0.1"],
  ] as const) {
    const client = await lab.client({ ovpnText, user: "bob", password });
    await client.connected();
    expect(await client.ping(gateway)).toBe(true);
    await client.stop();
  }
  const left = (await lab.json<ConnectionRow[]>(["connection", "log", "--user", "bob"])).map(({ ipv4 }) => `${ipv4} `);
  expect(left).toHaveLength(2);
  await until("his ways to be closed", async () => {
    const open = (await network()).join();
    return !left.some((address) => open.includes(address));
  });
  const key = /^PublicKey = (\S+)$/m.exec(await lab.issue("bob", "mobile"))?.[1] ?? "none";
  expect(await onServer("wg", "show", mobile.wireguard.managed.interface, "public-key")).toBe(`${key}\n`);
  expect(await onServer("wg", "show", mobile.wireguard.managed.interface, "allowed-ips")).toContain("10.43.0.");
});

test("where one of them cannot be served nothing of the new configuration applies, the network's rules neither", async () => {
  const [row] = await connections("alice");
  const present = [officeOverBoth, guests, mobile];
  const changed = [{ ...officeOverBoth, routes: ["10.99.0.0/24"] }, guests, mobile];
  const forwarding = { ranges: { ipv4: "10.45.0.0/24" }, forwarding: true, nat: "masquerade" };
  const fine = { id: "fine", openvpn: { managed: { listen: ["udp/1196", "udp/1197"] } }, ...forwarding };
  const name = interfaceName();
  const wireguard = { managed: { interface: name, listenPort: 51_821 } };
  const late = { id: "late", wireguard, ranges: { ipv4: "10.46.0.0/24" } };
  const before = await network();

  const program = `require("dgram").createSocket("udp6").bind(1197, () => console.log("bound"))`;
  const other = await startChild(inside(lab.network.server, [process.execPath, "--eval", program]));
  try {
    await until("the port to be taken", () => other.output().includes("bound"), { otherwise: other.output });
    const told = await reload([...changed, fine, late]);
    expect(told).toContain('"not reloaded: ');
    expect(told).toContain("profile fine cannot listen at udp/1197: another program listens there");
  } finally {
    await other.end("SIGKILL");
  }
  expect(await network()).toEqual(before);
  expect(before[0]).not.toContain("sp-fine-");

  // By the time this is found out the rules are in force already.
  await onServer("ip", "tuntap", "add", name, "mode", "tun");
  const withTheirs = await network();
  const told = await reload([...changed, fine, late]);
  expect(told).toContain('"not reloaded: ');
  expect(told).toContain(`the interface ${name} of late did not come up`);
  expect(await network()).toEqual(withTheirs);
  await aliceNoticedNothing(row?.id);
  const refused = await lab.sallyport(["client-config", "issue", "--user", "bob", "--profile", "fine"]);
  expect(refused).toMatchObject({ status: 1, stdout: "" });

  await onServer("ip", "tuntap", "delete", name, "mode", "tun");
  expect(await reload([...present, fine, late])).toContain('"reloaded: ');
  const [rules, switched] = await network();
  expect(rules).toContain("sp-fine-");
  expect(switched).toBe("1\n");
  await aliceNoticedNothing(row?.id);
});

test("what would end connections needs a restart, and the log says so", async () => {
  const [row] = await connections("alice");
  const told = await reload([officeOverBoth, mobile]);
  expect(told).toContain('"not reloaded: ');
  expect(told).toContain("profile guests (removed), ");
  expect(told).toContain("restart the daemon to apply this");
  await aliceNoticedNothing(row?.id);
});
