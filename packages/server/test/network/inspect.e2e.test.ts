import { afterEach, beforeEach, expect, test } from "vitest";
import type { NetworkFinding } from "../../src/network/network.ts";
import type { ChildHost } from "./child-host.ts";
import { devices, office, openRouterLab, type RouterLab } from "./router-lab.ts";

let lab: RouterLab;
let network: ChildHost;

beforeEach(async () => {
  lab = await openRouterLab();
  network = await lab.start();
});

afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

const start = (changes: object = {}) => network.call("start", { profiles: [{ ...office, ...changes }], clients: [] });
const inspect = () => network.call<NetworkFinding[]>("inspect");
const withoutForwarding = (key: string) => lab.run("sh", "-c", `echo 0 > /proc/sys/net/${key}`);

test("nothing is found where nothing is wrong", async () => {
  await start();
  expect(await inspect()).toEqual([]);
});

test("a kernel that somebody told not to forward is a fault, for each family that a profile has", async () => {
  await start();
  await withoutForwarding("ipv4/ip_forward");
  await withoutForwarding("ipv6/conf/all/forwarding");
  expect(await inspect()).toMatchObject([
    { severity: "fault", message: expect.stringContaining("IPv4"), next: expect.stringContaining("ip_forward") },
    { severity: "fault", message: expect.stringContaining("IPv6") },
  ]);
  await start({ forwarding: false });
  expect(await inspect()).toEqual([]);
});

test("our own table missing is a fault", async () => {
  await start();
  await lab.nft("delete", "table", "inet", "sallyport");
  expect(await inspect()).toMatchObject([{ severity: "fault", message: expect.stringContaining("inet sallyport") }]);
});

test("another table that drops what it does not know is named, until it knows our devices", async () => {
  await start();
  await lab.nft(
    "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
  );
  expect(await inspect()).toEqual([
    {
      severity: "warning",
      message: "another firewall (ip filter, chain FORWARD) may drop what clients send",
      next: expect.stringContaining(`nft insert rule ip filter FORWARD iifname ${devices.officeUdp} accept`),
    },
  ]);
  await lab.nft('add rule ip filter FORWARD iifname "sp-office-*" accept');
  expect(await inspect()).toEqual([]);
});

test("Docker, ufw and firewalld are known by their tables, and each has its own advice", async () => {
  await start();
  const chain = "{ type filter hook forward priority 0; policy drop; }";
  await lab.nft(`add table ip filter; add chain ip filter FORWARD ${chain}; add chain ip filter DOCKER-USER`);
  expect(await inspect()).toMatchObject([
    { next: expect.stringContaining("iptables -I DOCKER-USER -i sp-office-udp") },
  ]);
  await lab.nft("add chain ip filter ufw-before-forward");
  expect(await inspect()).toMatchObject([{ next: expect.stringContaining("ufw route allow in on sp-office-udp") }]);
  await lab.nft("delete", "table", "ip", "filter");
  const accepting = "{ type filter hook forward priority 10; policy accept; }";
  await lab.nft(`add table inet firewalld; add chain inet firewalld filter_FORWARD ${accepting}`);
  expect(await inspect()).toMatchObject([{ next: expect.stringContaining("firewall-cmd --zone=trusted") }]);
});

test("a route that this machine cannot follow itself is told", async () => {
  await start({ routes: ["10.99.0.0/16", "172.30.0.0/16", "0.0.0.0/0"] });
  expect(await inspect()).toMatchObject([{ severity: "warning", message: expect.stringContaining("172.30.0.0/16") }]);
});
