import { afterEach, beforeEach, expect, test } from "vitest";
import type { ChildHost } from "./child-host.ts";
import { aClient, devices, mobile, office, openRouterLab, port, type RouterLab, router, target } from "./router-lab.ts";

let lab: RouterLab;
let network: ChildHost;

beforeEach(async () => {
  lab = await openRouterLab();
  network = await lab.start();
});

afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

const start = (...profiles: object[]) => network.call("start", { profiles, clients: [] });
const admit = (client: object) => network.call("admit", client);
const release = (client: { connectionId: string }) => network.call("release", client.connectionId);

test("a client reaches the profile's routes from its admission to its release, and nothing else", async () => {
  const laptop = await lab.client(devices.officeUdp, "10.42.0.7", "fd42:1::7");
  const client = aClient({ ipv4: "10.42.0.7", ipv6: "fd42:1::7" });
  await start(office);
  expect(await laptop.ping(target.near)).toBe(false);

  await admit(client);
  expect(await laptop.ping(target.near)).toBe(true);
  expect(await laptop.ping(target.six)).toBe(true);
  // Without NAT the target sees who asks.
  expect(await laptop.ask(target.near)).toBe("10.42.0.7");
  expect(await laptop.ask(target.six)).toBe("fd42:1::7");
  expect(await laptop.ping(target.far)).toBe(false);
  expect(await laptop.ask(target.farSix)).toBeNull();

  await release(client);
  expect(await laptop.ping(target.near)).toBe(false);
  expect(await laptop.ping(target.six)).toBe(false);
  expect(await lab.ip("route", "show", "proto", "83")).toBe("");
  expect(await lab.ip("-6", "route", "show", "proto", "83")).toBe("");
});

test("each profile forwards and hides its clients as it says", async () => {
  const laptop = await lab.client(devices.officeUdp, "10.42.0.7", "fd42:1::7");
  const phone = await lab.client(devices.mobile, "10.43.0.7", "fd43:1::7");
  await start({ ...office, nat: "masquerade" }, mobile);
  await admit(aClient({ ipv4: "10.42.0.7", ipv6: "fd42:1::7" }));
  const mobileClient = { profileId: "mobile", device: devices.mobile, gateways: [] };
  await admit(aClient({ ...mobileClient, ipv4: "10.43.0.7", ipv6: "fd43:1::7" }));

  expect(await laptop.ask(target.near)).toBe(router.near);
  expect(await laptop.ask(target.six)).toBe(router.six);
  expect(await phone.ask(target.near)).toBe("10.43.0.7");
  expect(await phone.ask(target.six)).toBe("fd43:1::7");
});

test("clients of a profile without forwarding reach this machine alone, though another profile forwards", async () => {
  const laptop = await lab.client(devices.officeUdp, "10.42.0.7");
  const phone = await lab.client(devices.mobile, "10.43.0.7");
  await start(office, { ...mobile, forwarding: false });
  await admit(aClient({ ipv4: "10.42.0.7" }));
  const everybody = { properties: { "access_from.0": "+ALL_VPN_CLIENTS" } };
  await admit(aClient({ profileId: "mobile", device: devices.mobile, ipv4: "10.43.0.7", ...everybody }));

  expect(await laptop.ping(target.near)).toBe(true);
  expect(await phone.ping(target.near)).toBe(false);
  expect(await phone.ping("10.43.0.1")).toBe(true);
  expect(await phone.ping(router.near)).toBe(true);
  // Neither to a client nor from one.
  expect(await laptop.ping("10.43.0.7")).toBe(false);
});

test("everything that a client is told to send through the tunnel is let through, also all of the Internet", async () => {
  const laptop = await lab.client(devices.officeUdp, "10.42.0.7");
  const tablet = await lab.client(devices.officeUdp, "10.42.0.8");
  await start(office);
  await admit(aClient({ ipv4: "10.42.0.7", routes: ["0.0.0.0/0"] }));
  await admit(aClient({ ipv4: "10.42.0.8", properties: { prop_reroute_gw_override: "global" } }));
  expect(await laptop.ping(target.other)).toBe(true);
  expect(await tablet.ping(target.other)).toBe(true);
  // That means networks, not other clients.
  expect(await laptop.ping("10.42.0.8")).toBe(false);
});

test("a client sends from its own address on its own device alone, and nobody else from it", async () => {
  const thief = await lab.client(devices.officeUdp, "10.42.0.7");
  const victim = await lab.client(devices.officeTcp, "10.42.0.8");
  await start(office);
  await admit(aClient({ ipv4: "10.42.0.7" }));
  await admit(aClient({ ipv4: "10.42.0.8", device: devices.officeTcp }));
  expect(await victim.ping(target.near)).toBe(true);

  const before = await lab.target.pingsSeen();
  await thief.ip("address", "add", "10.42.0.8/32", "dev", "eth0");
  await thief.ip("address", "add", "203.0.113.9/32", "dev", "eth0");
  await thief.ip("address", "add", "fd42:1::8/128", "dev", "eth0", "nodad");
  for (const address of ["10.42.0.8", "203.0.113.9"]) expect(await thief.ping(target.near, address)).toBe(false);
  expect(await thief.ping(target.six, "fd42:1::8")).toBe(false);
  // Nor does it reach this machine so.
  expect(await thief.ping(router.near, "203.0.113.9")).toBe(false);
  expect(await lab.target.pingsSeen()).toBe(before);
  expect(await thief.ping(target.near, "10.42.0.7")).toBe(true);

  const genuine = await lab.nft("list", "chain", "inet", "sallyport", "genuine");
  expect(Number(/packets (\d+)/.exec(genuine)?.[1])).toBeGreaterThanOrEqual(3);
});

test("from beyond the VPN nobody passes for a client", async () => {
  const laptop = await lab.client(devices.officeUdp, "10.42.0.7");
  await lab.client(devices.officeUdp, "10.42.0.8");
  await start(office);
  await admit(aClient({ ipv4: "10.42.0.7", properties: { "access_from.0": "+ALL_VPN_CLIENTS" } }));
  // Its rules name a network around all clients.
  await admit(aClient({ ipv4: "10.42.0.8", properties: { "access_to.0": "+SUBNET:10.0.0.0/8" } }));
  await lab.target.ip("address", "add", "10.42.0.8/32", "dev", "lo");
  const before = await laptop.pingsSeen();
  await lab.target.ping("10.42.0.7", "10.42.0.8");
  expect(await laptop.pingsSeen()).toBe(before);
});

test("a connection that was open ends with the rules that let it through, also for who gets the address next", async () => {
  const laptop = await lab.client(devices.officeUdp, "10.42.0.7");
  const first = aClient({ ipv4: "10.42.0.7" });
  await start(office);
  await admit(first);
  expect(await laptop.open(target.near)).toBe("10.42.0.7");
  expect(await laptop.say("one")).toBe(true);

  await release(first);
  expect(await laptop.say("two")).toBe(false);
  await admit(aClient({ ipv4: "10.42.0.7", properties: { "access_to.0": `+ROUTE:${target.far}/32` } }));
  expect(await laptop.ask(target.far)).toBe("10.42.0.7");
  expect(await laptop.say("three")).toBe(false);
});

test("a group's subnet has its gateway on the device, which its clients reach and route by", async () => {
  const laptop = await lab.client(devices.officeUdp, "10.50.0.7", null, "10.50.0.1");
  const group = { name: "engineering", properties: {}, subnets: ["10.50.0.0/24"] };
  await network.call("setGroupSubnets", group.subnets);
  await start(office);
  await admit(aClient({ ipv4: "10.50.0.7", group, gateways: ["10.50.0.1", "fd50::1"] }));
  expect(await laptop.ping("10.50.0.1")).toBe(true);
  expect(await laptop.ask(target.near)).toBe("10.50.0.7");
  expect(await lab.ip("-6", "address", "show", "dev", devices.officeUdp)).toContain("fd50::1/128");

  await network.call("stop", "end");
  const addresses = await lab.ip("address", "show", "dev", devices.officeUdp);
  expect(addresses).not.toContain("10.50.0.1");
  expect(addresses).not.toContain("fd50::1");
  expect(addresses).toContain("10.42.0.1/20");
});

test("a client that comes back on another device has its route there, and its old end takes nothing away", async () => {
  const before = aClient({ ipv4: "10.42.0.7", ipv6: "fd42:1::7" });
  const after = aClient({ ipv4: "10.42.0.7", ipv6: "fd42:1::7", device: devices.officeTcp });
  const laptop = await lab.client(devices.officeTcp, "10.42.0.7", "fd42:1::7");
  await start(office);
  await admit(before);
  expect(await laptop.ping(target.near)).toBe(false);
  await admit(after);
  await release(before);
  expect(await laptop.ask(target.near)).toBe("10.42.0.7");
  expect(await laptop.ask(target.six)).toBe("fd42:1::7");
  expect(await lab.ip("-6", "route", "show", "proto", "83")).toMatch(
    new RegExp(`^fd42:1::7 dev ${devices.officeTcp} .*\n$`),
  );
});

test("two daemons beside each other have a table each", async () => {
  const laptop = await lab.client(devices.officeUdp, "10.42.0.7");
  const phone = await lab.client(devices.mobile, "10.43.0.7");
  const other = await lab.start({ table: "sallyport-0a1b2c", stateFile: `${lab.stateFile}.other` });
  await start(office);
  await other.call("start", { profiles: [mobile], clients: [] });
  await admit(aClient({ ipv4: "10.42.0.7" }));
  await other.call("admit", aClient({ profileId: "mobile", device: devices.mobile, ipv4: "10.43.0.7" }));
  expect(await laptop.ask(target.near, port)).toBe("10.42.0.7");
  expect(await phone.ask(target.near, port)).toBe("10.43.0.7");
  await other.call("stop", "end");
  expect(await lab.tables()).toEqual(["table inet sallyport"]);
  expect(await laptop.ping(target.near)).toBe(true);
});
