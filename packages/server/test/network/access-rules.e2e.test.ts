import { afterEach, beforeEach, expect, test } from "vitest";
import type { ChildHost } from "./child-host.ts";
import {
  aClient,
  devices,
  office,
  openRouterLab,
  type Place,
  port,
  type RouterLab,
  router,
  target,
} from "./router-lab.ts";

let lab: RouterLab;
let network: ChildHost;
let laptop: Place;

beforeEach(async () => {
  lab = await openRouterLab();
  network = await lab.start();
  laptop = await lab.client(devices.officeUdp, "10.42.0.7", "fd42:1::7");
});

afterEach(async () => {
  await lab[Symbol.asyncDispose]();
});

const start = (changes: object = {}) => network.call("start", { profiles: [{ ...office, ...changes }], clients: [] });
const admit = (client: object) => network.call("admit", client);
const release = (client: { connectionId: string }) => network.call("release", client.connectionId);
/** The client that `laptop` is. */
const withRules = (properties: Record<string, string>, changes: object = {}) =>
  aClient({ ipv4: "10.42.0.7", ipv6: "fd42:1::7", properties, ...changes });
const aGroup = (name: string, properties: Record<string, string> = {}) => ({ name, properties, subnets: [] });

test("with one rule of its own a client reaches what that allows and nothing more", async () => {
  await start();
  await admit(withRules({ "access_to.0": `+ROUTE:${target.far}/32`, "access_to.7": `+ROUTE:${target.farSix}/128` }));
  expect(await laptop.ask(target.far)).toBe("10.42.0.7");
  expect(await laptop.ask(target.farSix)).toBe("fd42:1::7");
  // Though the profile's routes hold it.
  expect(await laptop.ask(target.near)).toBeNull();
  expect(await laptop.ping(target.six)).toBe(false);
});

test("what is refused is refused at once, by an answer that says so", async () => {
  await start();
  await admit(withRules({ "access_to.0": `+ROUTE:${target.far}/32` }));
  const said = await lab
    .run("ip", "netns", "exec", laptop.namespace, "ping", "-c", "1", "-W", "5", target.near)
    .catch((error: { stdout: string }) => error.stdout);
  expect(said).toContain("Packet filtered");
});

test("rules of the user and of its group hold side by side", async () => {
  await start();
  const group = aGroup("engineering", { "access_to.0": `+ROUTE:${target.other}` });
  await admit(withRules({ "access_to.0": `+ROUTE:${target.far}` }, { group }));
  expect(await laptop.ping(target.far)).toBe(true);
  expect(await laptop.ping(target.other)).toBe(true);
  expect(await laptop.ping(target.near)).toBe(false);
});

test("a rule may open single services", async () => {
  await start();
  await admit(
    withRules({
      "access_to.0": `+ROUTE:${target.near}/32:tcp/${port}`,
      "access_to.1": `+ROUTE:${target.far}/32:icmp/echo-request`,
      "access_to.2": `+ROUTE:${target.six}:tcp/1-${port},icmp`,
    }),
  );
  expect(await laptop.ask(target.near)).toBe("10.42.0.7");
  expect(await laptop.ask(target.near, port + 1)).toBeNull();
  expect(await laptop.ping(target.near)).toBe(false);
  expect(await laptop.ping(target.far)).toBe(true);
  expect(await laptop.ask(target.far)).toBeNull();
  expect(await laptop.ask(target.six)).toBe("fd42:1::7");
  expect(await laptop.ask(target.six, port + 1)).toBeNull();
  expect(await laptop.ping(target.six)).toBe(true);
});

test("+NAT hides the client, +ROUTE shows it, +SUBNET and a network alone do as the profile says", async () => {
  const rules = {
    "access_to.0": `+NAT:${target.far}/32`,
    "access_to.1": `+ROUTE:${target.other}/32`,
    "access_to.2": "+SUBNET:10.99.0.0/16",
    "access_to.3": "fd99::/64",
  };
  await start();
  const shown = withRules(rules);
  await admit(shown);
  expect(await laptop.ask(target.far)).toBe(router.near);
  expect(await laptop.ask(target.other)).toBe("10.42.0.7");
  expect(await laptop.ask(target.near)).toBe("10.42.0.7");
  expect(await laptop.ask(target.six)).toBe("fd42:1::7");

  await release(shown);
  await start({ nat: "masquerade" });
  await admit(withRules(rules));
  expect(await laptop.ask(target.far)).toBe(router.near);
  expect(await laptop.ask(target.other)).toBe("10.42.0.7");
  expect(await laptop.ask(target.near)).toBe(router.near);
  expect(await laptop.ask(target.six)).toBe(router.six);
});

test("of two networks around a destination the closer one says whether the client is hidden", async () => {
  await start();
  await admit(withRules({ "access_to.0": "+NAT:10.0.0.0/8", "access_to.1": `+ROUTE:${target.far}/32` }));
  expect(await laptop.ask(target.near)).toBe(router.near);
  expect(await laptop.ask(target.far)).toBe("10.42.0.7");
});

test("+ALL_S2C_SUBNETS means the profile's routes", async () => {
  await start();
  await admit(withRules({ "access_to.0": "+ALL_S2C_SUBNETS", "access_to.1": `+ROUTE:${target.other}` }));
  expect(await laptop.ping(target.near)).toBe(true);
  expect(await laptop.ping(target.other)).toBe(true);
  expect(await laptop.ping(target.far)).toBe(false);
});

test("a rule that cannot be read allows nothing, restricts all the same, and is named in the log", async () => {
  await start();
  await admit(withRules({ "access_to.0": "+NAT:10.99.0.0/16; flush ruleset" }));
  expect(await laptop.ping(target.near)).toBe(false);
  expect(await lab.tables()).toContain("table inet sallyport");
  expect(network.logged).toContainEqual({
    level: "warn",
    message: expect.stringContaining("cannot be read"),
    fields: expect.objectContaining({ rule: "+NAT:10.99.0.0/16; flush ruleset" }),
  });
});

test("the DNS servers a client was told can be asked whatever its rules, by DNS alone", async () => {
  await start();
  await admit(withRules({ "access_to.0": `+ROUTE:${target.far}/32` }, { dns: [target.near, target.six] }));
  expect(await laptop.ask(target.near, 53)).toBe("10.42.0.7");
  expect(await laptop.ask(target.six, 53)).toBe("fd42:1::7");
  expect(await laptop.ask(target.near)).toBeNull();
});

test("this machine's gateways can be reached by everybody, its other addresses as the rules say", async () => {
  await start();
  const restricted = withRules({ "access_to.0": `+ROUTE:${target.far}/32` });
  await admit(restricted);
  expect(await laptop.ping("10.42.0.1")).toBe(true);
  expect(await laptop.ping("fd42:1::1")).toBe(true);
  expect(await laptop.ping(router.near)).toBe(false);
  expect(await laptop.ping(router.six)).toBe(false);

  await release(restricted);
  await admit(withRules({}));
  expect(await laptop.ping(router.near)).toBe(true);
});

test("from beyond the VPN a client is reached where access_from lets it be, and answers are heard", async () => {
  await start();
  const closed = withRules({});
  await admit(closed);
  expect(await lab.target.ask("10.42.0.7")).toBeNull();
  await release(closed);

  const open = withRules({
    "access_from.0": `+SUBNET:10.99.0.0/24:tcp/${port}`,
    "access_from.1": "+ALL_S2C_SUBNETS",
    "access_to.0": `+ROUTE:${target.far}/32`,
  });
  await admit(open);
  expect(await lab.target.ask("10.42.0.7")).toBe(target.near);
  expect(await lab.target.ping("fd42:1::7", target.six)).toBe(true);
  expect(await lab.target.ping("10.42.0.7", target.other)).toBe(false);
  // Being reached is no leave to reach.
  expect(await laptop.ask(target.near)).toBeNull();

  await release(open);
  await admit(withRules({ "access_from.0": `10.99.0.0/24:tcp/${port}` }));
  expect(await lab.target.ask("10.42.0.7")).toBe(target.near);
  expect(await lab.target.ping("10.42.0.7", target.near)).toBe(false);
});

test("clients do not reach each other, on one device or two, unless a rule is about clients", async () => {
  const beside = await lab.client(devices.officeUdp, "10.42.0.8");
  const elsewhere = await lab.client(devices.officeTcp, "10.42.0.9");
  await start({ routes: ["10.0.0.0/8"] });
  await admit(withRules({ "access_to.0": "+ROUTE:10.0.0.0/8" }));
  await admit(aClient({ ipv4: "10.42.0.8", routes: ["0.0.0.0/0"] }));
  await admit(aClient({ ipv4: "10.42.0.9", device: devices.officeTcp, properties: { "access_to.0": "10.42.0.8/31" } }));
  expect(await laptop.ping("10.42.0.8")).toBe(false);
  expect(await beside.ping("10.42.0.9")).toBe(false);
  expect(await beside.ping("10.42.0.7")).toBe(false);
  // This one names addresses of clients.
  expect(await elsewhere.ping("10.42.0.8")).toBe(true);
  expect(await elsewhere.ping("10.42.0.7")).toBe(false);
});

test("a group's members may be reached, one way, whoever of them comes and goes", async () => {
  const printer = await lab.client(devices.officeTcp, "10.42.0.8", "fd42:1::8");
  const second = await lab.client(devices.officeUdp, "10.42.0.9");
  const stranger = await lab.client(devices.officeUdp, "10.42.0.10");
  const name = 'x"; flush ruleset; # ünïcode';
  const before = aClient({ ipv4: "10.42.0.8", ipv6: "fd42:1::8", device: devices.officeTcp, group: aGroup(name) });
  await start();
  await admit(before);
  await admit(aClient({ ipv4: "10.42.0.10", group: aGroup("others") }));
  const user = withRules({ "access_to.0": `+GROUP:${name}` });
  await admit(user);
  await admit(aClient({ ipv4: "10.42.0.9", group: aGroup(name) }));

  expect(await laptop.ask("10.42.0.8")).toBe("10.42.0.7");
  expect(await laptop.ask("fd42:1::8")).toBe("fd42:1::7");
  expect(await laptop.ask("10.42.0.9")).toBe("10.42.0.7");
  expect(await laptop.ask("10.42.0.10")).toBeNull();
  expect(await printer.ask("10.42.0.7")).toBeNull();
  expect(await second.ask("10.42.0.7")).toBeNull();
  expect(await stranger.ask("10.42.0.8")).toBeNull();

  // The address goes to somebody who is not of that group.
  await release(before);
  await admit(aClient({ ipv4: "10.42.0.8", device: devices.officeTcp }));
  expect(await laptop.ask("10.42.0.8")).toBeNull();
  expect(await laptop.ask("10.42.0.9")).toBe("10.42.0.7");

  await release(user);
  const table = await lab.nft("list", "table", "inet", "sallyport");
  expect(table).not.toMatch(/set (group|user)-/);
});

test("access_from lets in other clients by user, by group, or all of them", async () => {
  const alice = await lab.client(devices.officeTcp, "10.42.0.8");
  const bob = await lab.client(devices.officeUdp, "10.42.0.9");
  await start();
  // Having rules of her own does not keep alice out of where others let her in.
  const rules = { "access_to.0": `+ROUTE:${target.far}/32` };
  await admit(aClient({ ipv4: "10.42.0.8", device: devices.officeTcp, userId: "alice", properties: rules }));
  await admit(aClient({ ipv4: "10.42.0.9", userId: "bob", group: aGroup("eng") }));
  const byUser = withRules({ "access_from.0": "+USER:alice" });
  await admit(byUser);
  expect(await alice.ask("10.42.0.7")).toBe("10.42.0.8");
  expect(await bob.ask("10.42.0.7")).toBeNull();
  expect(await laptop.ask("10.42.0.8")).toBeNull();
  await release(byUser);

  const byGroup = withRules({ "access_from.0": "+GROUP:eng" });
  await admit(byGroup);
  expect(await alice.ask("10.42.0.7")).toBeNull();
  expect(await bob.ask("10.42.0.7")).toBe("10.42.0.9");
  await release(byGroup);

  await admit(withRules({ "access_from.0": "+ALL_VPN_CLIENTS" }));
  expect(await alice.ask("10.42.0.7")).toBe("10.42.0.8");
  expect(await bob.ask("10.42.0.7")).toBe("10.42.0.9");
  expect(await lab.target.ask("10.42.0.7")).toBeNull();
});

test("a policy is in the table once, however many have it, and goes with the last of them", async () => {
  await start();
  const rules = { "access_to.0": `+NAT:${target.far}/32` };
  const clients = [1, 2, 3].map((last) => aClient({ ipv4: `10.42.1.${last}`, properties: rules }));
  for (const client of clients) await admit(client);
  const chains = async () => (await lab.nft("list", "table", "inet", "sallyport")).match(/chain (began|nat)-/g) ?? [];
  expect(await chains()).toEqual(["chain began-", "chain nat-"]);
  for (const client of clients) {
    expect(await chains()).toHaveLength(2);
    await release(client);
  }
  expect(await chains()).toEqual([]);
});
