import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { foreignServer } from "./lab/foreign-server.ts";
import { type ConnectionRow, heldAddresses } from "./lab/ledger.ts";
import { type Lab, openLab, until } from "./lab.ts";

const password = "correct horse battery staple";
// A client otherwise waits for a minute before it believes that the server is gone; it hears of it each second.
const impatient = { extra: ["--pull-filter", "ignore", "ping", "--ping", "1", "--ping-restart", "8"] };

async function attachTo(lab: Lab, openvpn: Record<string, unknown>): Promise<void> {
  const ranges = { ipv4: "10.44.0.0/20", ipv6: "fd44:1::/64" };
  await lab.configure({ profiles: [{ id: "office", openvpn, ranges, routes: ["10.99.0.0/16"], dns: ["10.44.0.1"] }] });
}

const open = (lab: Lab) => lab.json<ConnectionRow[]>(["connection", "list"]);
const past = (lab: Lab) => lab.json<ConnectionRow[]>(["connection", "log"]);
const rowOf = (rows: readonly ConnectionRow[], user: string) => rows.find(({ userId }) => userId === user);

/** Every hook that was told of a connection was told of its end, with one event id each. */
async function everyEndToldOnce(lab: Lab): Promise<void> {
  const rows = (await past(lab)).filter(({ admittedAt }) => admittedAt !== null);
  for (const row of rows) {
    const calls = await lab.hook.called(
      ({ environment }) => environment.VPN_SESSION_ID === row.id && environment.VPN_EVENT === "D",
    );
    expect(calls.map(({ environment }) => environment.VPN_EVENT_ID)).toEqual([row.disconnectEventId]);
  }
}

type Finding = { id: string; state: string; what: string };

/** The documented configuration is without faults, found by its process; a line that is not so is named. */
async function doctorFindsNothing(lab: Lab, configFile: string): Promise<void> {
  const findings = await lab.json<Finding[]>(["doctor"]);
  expect(findings.filter(({ state }) => state === "fault")).toEqual([]);
  expect(findings.filter(({ id, state }) => id.startsWith("listener.") && state === "ok").length).toBe(1);
  const socket = findings.find(({ id }) => id === "office.management");
  expect(socket).toMatchObject({ state: "ok", what: expect.stringContaining(`${configFile}: line `) });

  const other = join(lab.directory, "other.conf");
  await writeFile(other, (await readFile(configFile, "utf8")).replace(" nopool", ""));
  const { status, stdout, stderr } = await lab.sallyport(["doctor", "--openvpn-config", other]);
  expect(status).toBe(1);
  expect(stdout).toMatch(/^fault .*other\.conf: line 5: the server's own pool/m);
  expect(stdout).toContain("Append nopool: server 10.44.0.0 255.255.240.0 nopool");
  expect(stderr).toContain("faults-found: there is a fault");
}

test("a server configured by hand, as the documentation has it, is driven through its unix socket", async () => {
  await using lab = await openLab();
  const socket = join(lab.directory, "run/management.sock");
  const server = await foreignServer(lab, { management: `${socket} unix` });
  await server.start();
  await attachTo(lab, { attach: `unix:${socket}` });
  await lab.daemon.start();
  for (const name of ["alice", "bob", "carol"]) await lab.addUser(name, password);
  await lab.succeed(["property", "set", "--default", "prop_cli.script.all.user.connect", "true"]);

  const join3 = async (user: string, extra = {}) =>
    lab.client({ ovpnText: await server.clientConfig(`${user}-laptop`), user, password, ...impatient, ...extra });
  // One after the other: whoever is in first has the first address.
  const alice = await join3("alice");
  await alice.connected();
  const bob = await join3("bob");
  await bob.connected();
  expect(await alice.addresses()).toEqual({ ipv4: "10.44.0.2", ipv6: "fd44:1::2" });
  // OpenVPN's log leaves out what is echoed: nobody reads the ticket for client scripts there.
  expect(alice.log()).toMatch(/PUSH_REPLY,.*,echo[,']/);
  expect(await alice.routes()).toContain("10.99.0.0/16 via 10.44.0.1 dev tun0");
  expect(await alice.ping("10.44.0.1")).toBe(true);
  expect(await alice.ping(lab.innerAddress)).toBe(true);
  const wrong = await join3("carol", { password: "guess" });
  expect(await wrong.refused()).toBe("Wrong user name or password.");
  const before = await open(lab);
  expect(rowOf(before, "alice")).toMatchObject({ connectionId: "alice-laptop", state: "open" });
  await doctorFindsNothing(lab, server.configFile);

  // Sallyport dies; one leaves while nobody looks; it is started again.
  await lab.daemon.kill();
  await until("the tunnel to carry packets without Sallyport", () => alice.ping("10.44.0.1"));
  await bob.stop();
  await until("the server to notice", () => /bob-laptop\/.* client-instance exiting/.test(server.child().output()), {
    otherwise: () => server.child().output(),
  });
  await lab.daemon.start();
  await until("bob's row to end", async () => rowOf(await open(lab), "bob") === undefined);
  expect(await open(lab)).toMatchObject([{ id: rowOf(before, "alice")?.id, state: "open" }]);
  expect(await alice.ping("10.44.0.1")).toBe(true);
  expect(alice.timesConnected()).toBe(1);
  expect(rowOf(await past(lab), "bob")?.endReason).toBe("client");

  // The server restarts itself, and later dies and is started again.
  server.child().signal("SIGUSR1");
  await until("alice to be back", () => alice.timesConnected() === 2, { deadlineMs: 60_000 });
  expect(await alice.ping("10.44.0.1")).toBe(true);
  expect((await open(lab)).map(({ userId }) => userId)).toEqual(["alice"]);
  await server.child().end("SIGKILL");
  await until("alice's row to end", async () => (await open(lab)).length === 0);
  expect(rowOf(await past(lab), "alice")?.endReason).toBe("node-lost");
  await server.start();
  await until("alice to be back again", () => alice.timesConnected() === 3, { deadlineMs: 60_000 });
  await until("alice's row to be open", async () => rowOf(await open(lab), "alice")?.state === "open");

  // Stopping ends the clients and not the server; they come back when Sallyport does.
  const last = rowOf(await open(lab), "alice")?.id;
  expect(await lab.daemon.stop()).toBe(0);
  expect(server.child().exited()).toBe(undefined);
  await lab.daemon.start();
  const ended = (await past(lab)).find(({ id }) => id === last);
  expect(ended).toMatchObject({ endReason: "shutdown" });
  expect(ended?.bytesIn).toBeGreaterThan(0);
  await until("alice to be in after the stop", () => alice.timesConnected() === 4, { deadlineMs: 90_000 });
  await alice.stop();
  await until("everybody to be gone", async () => (await open(lab)).length === 0);
  await everyEndToldOnce(lab);
  expect(await heldAddresses(lab.dataDirectory)).toEqual([]);
});

test("a held server without client certificates is reached over TCP with a password", async () => {
  await using lab = await openLab();
  const passwordFile = join(lab.directory, "management.password");
  await writeFile(passwordFile, "s3cret of the socket\n", { mode: 0o600 });
  const server = await foreignServer(lab, {
    management: `127.0.0.1 7505 ${passwordFile}`,
    without: /^management-client-user/,
    further: ["management-hold", "verify-client-cert none", "username-as-common-name"],
  });
  await server.start();
  await attachTo(lab, { attach: "tcp:127.0.0.1:7505", passwordFile });
  await lab.daemon.start();
  await lab.addUser("alice", password);
  const ovpnText = await server.clientConfig(undefined);
  const alice = await lab.client({ ovpnText, user: "alice", password, ...impatient });
  await alice.connected();
  const before = await open(lab);
  expect(before).toMatchObject([{ userId: "alice", connectionId: "alice" }]);

  await lab.daemon.kill();
  await lab.daemon.start();
  await until("the row to be adopted", () => lab.daemon.output().split("attached to openvpn").length > 2, {
    otherwise: lab.daemon.output,
  });
  expect((await open(lab)).map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  expect(await alice.ping("10.44.0.1")).toBe(true);
  expect(alice.timesConnected()).toBe(1);

  // Held again after its restart, and released again.
  server.child().signal("SIGUSR1");
  await until("alice to be back", () => alice.timesConnected() === 2, { deadlineMs: 60_000 });
  await alice.stop();
  await until("everybody to be gone", async () => (await open(lab)).length === 0);
  await everyEndToldOnce(lab);
});

test("of a server that has no names for its clients, everybody is found again, and whoever waited is sent back", async () => {
  // Whoever is slow is still being asked when Sallyport dies: until there is a file.
  const released = 'while [ ! -e "$(dirname "$0")/released" ]; do sleep 0.2; done';
  await using lab = await openLab({ hookBody: `case "$VPN_EVENT$VPN_USER_ID" in Cslow) ${released} ;; esac` });
  const socket = join(lab.directory, "run/management.sock");
  const server = await foreignServer(lab, { management: `${socket} unix`, further: ["verify-client-cert none"] });
  await server.start();
  await attachTo(lab, { attach: `unix:${socket}` });
  await lab.daemon.start();
  const ovpnText = await server.clientConfig(undefined);
  const users = ["alice", "bob", "slow"];
  for (const user of users) await lab.addUser(user, password);
  const [alice, bob] = [
    await lab.client({ ovpnText, user: "alice", password, ...impatient }),
    await lab.client({ ovpnText, user: "bob", password, ...impatient }),
  ];
  await alice.connected();
  await bob.connected();
  const before = await open(lab);
  const slow = await lab.client({ ovpnText, user: "slow", password });
  await lab.hook.called(({ environment }) => environment.VPN_USER_ID === "slow");
  await lab.daemon.kill();
  await writeFile(join(lab.directory, "hook", "released"), "");
  await lab.daemon.start();

  // Without being told it would wait for a minute.
  await slow.sees(/The VPN is restarting/);
  await slow.connected();
  expect([alice.timesConnected(), bob.timesConnected()]).toEqual([1, 1]);
  for (const { id, userId } of before) expect(rowOf(await open(lab), userId)?.id).toBe(id);

  // One is ended by an administrator, and nobody else with it.
  await lab.succeed(["connection", "kill", "--user", "bob"]);
  await until("bob's row to end", async () => rowOf(await open(lab), "bob") === undefined);
  expect(await alice.ping("10.44.0.1")).toBe(true);
  expect(await slow.ping("10.44.0.1")).toBe(true);
  expect((await open(lab)).map(({ userId }) => userId).sort()).toEqual(["alice", "slow"]);
});

test("a server that connects to Sallyport by itself is awaited, and again when it ended", async () => {
  await using lab = await openLab();
  const socket = join(lab.directory, "run/management.sock");
  const server = await foreignServer(lab, {
    management: `${socket} unix`,
    without: /^management-client-user/,
    further: ["management-client", "verify-client-cert none"],
  });
  await attachTo(lab, { attach: `listen:unix:${socket}` });
  await lab.daemon.start();
  await lab.addUser("alice", password);
  await server.start();
  const alice = await lab.client({
    ovpnText: await server.clientConfig(undefined),
    user: "alice",
    password,
    ...impatient,
  });
  await alice.connected();
  await server.child().end("SIGTERM");
  await until("the row to end", async () => (await open(lab)).length === 0);
  await server.start();
  await until("alice to be back", () => alice.timesConnected() === 2, { deadlineMs: 60_000 });
  const [row] = await open(lab);

  expect(await lab.daemon.stop()).toBe(0);
  await lab.daemon.start();
  expect((await past(lab)).find(({ id }) => id === row?.id)?.endReason).toBe("shutdown");
  await everyEndToldOnce(lab);
});
