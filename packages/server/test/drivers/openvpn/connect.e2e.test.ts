import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Tunnel } from "../../../src/core/vpn-event.ts";
import { SERVER_ADDRESS } from "../../e2e/lab/network.ts";
import { until } from "../../waiting.ts";
import { admissionOf, admitEverybody, openDriverLab } from "./lab.ts";

test("a client that is admitted gets its addresses, routes and name servers, and traffic passes in both families", async () => {
  await using lab = await openDriverLab();
  const { driver, told } = lab.life();
  await driver.start(told.events);
  expect(told.attached).toEqual([{ profileId: "office", listener: "udp/1194", sameDaemon: false, tunnels: [] }]);

  const client = await lab.client("alice", { password: 'pass "word" \\ $(x) é' });
  const request = await told.nthAsked(1);
  expect(request).toMatchObject({
    kind: "connect",
    protocol: "openvpn",
    username: "alice",
    clientAddress: client.place.address,
  });
  expect(request.password?.reveal()).toBe('pass "word" \\ $(x) é');
  expect(request.certificate?.commonName).toBe("alice");
  expect(request.certificate?.serial).toMatch(/^[1-9a-f][0-9a-f]+$/);
  expect(request.clientInfo).toMatchObject({ IV_PLAT: "linux" });
  expect(request.certificateFields).toMatchObject({ X509_0_CN: "alice", tls_serial_0: expect.stringMatching(/^\d+$/) });
  expect(told.established).toEqual([]);

  await driver.admit(request.tunnel, admissionOf(1));
  await told.nthEstablished(1);
  await client.connected();
  expect(await client.addresses()).toEqual({ ipv4: "10.42.0.2", ipv6: "fd42:1::2" });
  expect(await client.routes()).toContain("10.99.0.0/16 via 10.42.0.1 dev tun0");
  expect(await client.ping("10.42.0.1")).toBe(true);
  expect(await client.ping("fd42:1::1", { bytes: 1_000, count: 10 })).toBe(true);
  expect(client.log()).toMatch(/dhcp-option DNS 10\.42\.0\.1,dhcp-option DNS6 fd42:1::1/);

  await client.stop();
  const gone = await told.goneOf(request.tunnel);
  expect(gone.counts?.bytesIn).toBeGreaterThan(10_000);
  expect(gone.counts?.bytesOut).toBeGreaterThan(10_000);
  expect(told.gone.length).toBe(1);
});

test("a client that is refused reads the reason, and nothing of it stays", async () => {
  await using lab = await openDriverLab();
  const { driver, told } = lab.life();
  await driver.start(told.events);
  const client = await lab.client("bob");
  const request = await told.nthAsked(1);
  await driver.refuse(request.tunnel, {
    kind: "connect",
    reason: "the log's reason",
    clientReason: 'Not "today", bob\\.',
  });

  expect(await client.refused()).toBe('Not "today", bob\\.');
  expect(await lab.serverLog()).toContain("the log's reason");
  await expect(driver.admit(request.tunnel, admissionOf(1))).rejects.toMatchObject({ code: "connection-ended" });
  expect(told.gone).toEqual([]);
});

test("a client that is told when to come back does so by itself", async () => {
  await using lab = await openDriverLab();
  const { driver, told } = lab.life();
  await driver.start(told.events);
  const client = await lab.client("carol");
  const request = await told.nthAsked(1);
  const refusal = { kind: "connect", reason: "busy", clientReason: "Busy.", retryAfterSeconds: 1 } as const;
  await driver.refuse(request.tunnel, refusal);
  const again = await told.nthAsked(2, 40_000);
  expect(again.tunnel.key).not.toBe(request.tunnel.key);
  expect(client.running()).toBe(true);
});

test("a name that is no UTF-8 is refused at the door", async () => {
  await using lab = await openDriverLab();
  const life = lab.life();
  admitEverybody(life);
  await life.driver.start(life.told.events);
  const credentials = join(lab.home, "broken");
  await writeFile(credentials, Buffer.from("d\xe5ve\nsecret\n", "latin1"));
  const client = await lab.client("dave", { user: undefined, extra: ["--auth-user-pass", credentials] });
  expect(await client.refused()).toBe("The user name or password could not be read.");
  expect(life.told.asked).toEqual([]);
  expect(JSON.stringify(life.log.lines)).toContain("username is no valid UTF-8");
});

test("names of any valid UTF-8 arrive unchanged, and nobody's credentials are taken for somebody's", async () => {
  await using lab = await openDriverLab();
  const { driver, told } = lab.life();
  await driver.start(told.events);
  const names = ["Zoë", 'q"uo\\te', "a=b=c", "$(reboot)", "END", "\u{1f600}\u2028", "\ufeffbom", "x".repeat(64)];
  const clients = await Promise.all(names.map((user, n) => lab.client(`device${n}`, { user })));
  await until("everybody to ask", () => told.asked.length === names.length, {
    otherwise: () => JSON.stringify(told.asked.map((request) => request.username)),
  });
  expect(told.asked.map((request) => request.username).sort()).toEqual([...names].sort());
  await Promise.all(clients.map((client) => client.kill()));

  await lab.client("nobody", { user: undefined });
  const request = await told.nthAsked(names.length + 1);
  expect([request.username, request.password]).toEqual([undefined, undefined]);
});

test("clients over IPv6 and over TCP come in alike", async () => {
  await using lab = await openDriverLab();
  const udp = lab.life();
  admitEverybody(udp);
  await udp.driver.start(udp.told.events);
  const six = await lab.client("erin", { remote: `fd18::1 1194 udp6` });
  await six.connected();
  expect(udp.told.asked[0]?.clientAddress).toMatch(/^fd18::/);
  expect(await six.ping("10.42.0.1")).toBe(true);
  await udp.driver.stop("end");

  const tcp = lab.life({ listener: "tcp/443", listen: { transport: "tcp", address: null, port: 443 } });
  admitEverybody(tcp);
  await tcp.driver.start(tcp.told.events);
  const overTcp = await lab.client("frank", { remote: `${SERVER_ADDRESS} 443 tcp` });
  await overTcp.connected();
  expect(await overTcp.ping("fd42:1::1")).toBe(true);
  await overTcp.stop();
  const gone = await tcp.told.goneOf(tcp.told.asked[0]?.tunnel as Tunnel);
  expect(gone.counts?.bytesIn).toBeGreaterThan(1_000);
});
