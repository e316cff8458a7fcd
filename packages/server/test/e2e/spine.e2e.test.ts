import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clientReasonOf, type ErrorCode } from "../../src/core/errors.ts";
import { type ConnectionRow, commonNameOf, heldAddresses } from "./lab/ledger.ts";
import { type Client, type Lab, openLab, until } from "./lab.ts";

const script = resolve(import.meta.dirname, "../fixtures/post-auth/office_gate.py");
const password = "correct horse battery staple";
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// The hook refuses whoever is called vetoed, and says why.
const hookBody = `case "$VPN_EVENT$VPN_USER_ID" in Cvetoed*) echo "checking"; echo "Your device is not in the inventory."; exit 1 ;; esac`;

let lab: Lab;

beforeAll(async () => {
  lab = await openLab({ hookBody });
  await lab.daemon.start();
  await lab.succeed(["post-auth", "add", "office-gate", script]);
  await lab.succeed(["post-auth", "activate", "office-gate"]);
});

afterAll(() => lab?.[Symbol.asyncDispose]());

const rows = (user: string) => lab.json<ConnectionRow[]>(["connection", "log", "--user", user]);

/** A user with a device, connected. */
async function connect(user: string): Promise<{ client: Client; ovpnText: string }> {
  await lab.addUser(user, password);
  const ovpnText = await lab.issue(user);
  const client = await lab.client({ ovpnText, user, password });
  await client.connected();
  return { client, ovpnText };
}

async function endedRow(user: string): Promise<ConnectionRow> {
  return until(`the row of ${user} to end`, async () => (await rows(user)).find((row) => row.state === "ended"), {
    deadlineMs: 60_000,
  });
}

describe("the right password", () => {
  test("lets in with the fixed address; traffic passes; hooks know everything; the counts at the end are real", async () => {
    await lab.addUser("alice", password);
    await lab.succeed(["property", "set", "--user", "alice", "conn_ip", "10.42.3.7"]);
    const ovpnText = await lab.issue("alice");
    const client = await lab.client({ ovpnText, user: "alice", password });
    await client.connected();

    const { ipv4, ipv6 } = await client.addresses();
    expect(ipv4).toBe("10.42.3.7");
    expect(ipv6).toMatch(/^fd42:1::/);
    expect(await client.routes()).toContain("10.99.0.0/16 via 10.42.0.1 dev tun0");
    expect(await client.ping("10.42.0.1", { count: 30, bytes: 1000 })).toBe(true);
    expect(await client.ping("fd42:1::1")).toBe(true);
    expect(await client.ping(lab.innerAddress)).toBe(true);

    const [told] = await lab.hook.called((call) => call.environment.VPN_USER_ID === "alice");
    const common = {
      VPN_USER_ID: "alice",
      VPN_PROFILE_ID: "office",
      VPN_CONNECTION_ID: commonNameOf(ovpnText),
      VPN_IP_FOUR: "10.42.3.7",
      VPN_IP_SIX: ipv6,
      VPN_PROTO: "openvpn",
      VPN_NODE_NUMBER: "7",
      VPN_NODE_URL: "https://vpn.lab.example",
      VPN_NODE_HOST_NAME: lab.serverAddress,
      VPN_ATTEMPT: "1",
      VPN_EVENT_ID: expect.stringMatching(uuid),
      VPN_SESSION_ID: expect.stringMatching(uuid),
      PATH: expect.any(String),
      LANG: expect.any(String),
      HOME: expect.any(String),
    };
    expect(told?.environment).toEqual({ ...common, VPN_EVENT: "C", VPN_ORIGINATING_IP: client.place.address });
    expect(told?.argumentCount).toBe(0);
    expect(JSON.parse(told?.stdin ?? "")).toMatchObject({ event: "C", userId: "alice", ipFour: "10.42.3.7" });

    await client.stop();
    const [end] = await lab.hook.called(
      (c) => c.environment.VPN_USER_ID === "alice" && c.environment.VPN_EVENT === "D",
    );
    expect(end?.environment).toEqual({
      ...common,
      VPN_EVENT: "D",
      VPN_SESSION_ID: told?.environment.VPN_SESSION_ID,
      VPN_BYTES_IN: expect.stringMatching(/^\d+$/),
      VPN_BYTES_OUT: expect.stringMatching(/^\d+$/),
      VPN_DURATION_SECONDS: expect.stringMatching(/^\d+$/),
      VPN_DISCONNECT_REASON: "client",
    });
    expect(end?.environment.VPN_EVENT_ID).not.toBe(told?.environment.VPN_EVENT_ID);
    // Thirty pings of a thousand bytes went through, in both directions, and not ten times as much.
    for (const count of [end?.environment.VPN_BYTES_IN, end?.environment.VPN_BYTES_OUT]) {
      expect(Number(count)).toBeGreaterThan(20_000);
      expect(Number(count)).toBeLessThan(200_000);
    }
    const row = await endedRow("alice");
    expect(row).toMatchObject({ endReason: "client", ipv4: "10.42.3.7", id: told?.environment.VPN_SESSION_ID });
    expect(String(row.bytesIn)).toBe(end?.environment.VPN_BYTES_IN);
    expect(String(row.bytesOut)).toBe(end?.environment.VPN_BYTES_OUT);
  });

  test("and a script that chooses a group give an address of that group, and traffic passes", async () => {
    await lab.succeed(["group", "add", "eng"]);
    await lab.succeed(["property", "set", "--group", "eng", "group_subnets.0", "10.42.8.0/24"]);
    const { client } = await connect("engineer");
    expect((await client.addresses()).ipv4).toMatch(/^10\.42\.8\./);
    expect(await client.routes()).toContain("10.99.0.0/16 via 10.42.8.1 dev tun0");
    expect(await client.ping(lab.innerAddress)).toBe(true);
    await client.stop();
  });
});

describe("whoever is refused stays out and reads why", () => {
  const cases: { who: string; code: ErrorCode; reads: string; prepare?: () => Promise<unknown> }[] = [
    { who: "forgetful", code: "wrong-credentials", reads: clientReasonOf("wrong-credentials") },
    {
      who: "disabled",
      code: "account-disabled",
      reads: clientReasonOf("account-disabled"),
      prepare: () => lab.succeed(["user", "disable", "disabled"]),
    },
    {
      who: "denied",
      code: "access-denied",
      reads: clientReasonOf("access-denied"),
      prepare: () => lab.succeed(["property", "set", "--user", "denied", "prop_deny", "true"]),
    },
    {
      who: "revoked",
      code: "certificate-revoked",
      reads: clientReasonOf("certificate-revoked"),
      prepare: async () => {
        const [config] = await lab.json<{ id: string }[]>(["client-config", "list", "--user", "revoked"]);
        await lab.succeed(["client-config", "revoke", config?.id ?? ""]);
      },
    },
    { who: "contractor", code: "script-denied", reads: "Contractors may come on weekdays only." },
    { who: "vetoed", code: "hook-refused", reads: clientReasonOf("hook-refused") },
  ];

  test.each(cases)("$who: $code", async ({ who, code, reads, prepare }) => {
    await lab.addUser(who, password);
    const ovpnText = await lab.issue(who);
    await prepare?.();
    const presented = who === "forgetful" ? "incorrect horse" : password;
    const client = await lab.client({ ovpnText, user: who, password: presented });

    expect(await client.refused()).toBe(reads);
    expect(client.timesConnected()).toBe(0);
    await client.stop();
    const open = await lab.json<ConnectionRow[]>(["connection", "list", "--user", who]);
    expect(open).toEqual([]);
    const attempts = await lab.json<{ outcome: string; code: string | null }[]>(["attempt", "list", "--user", who]);
    // The veto comes after the decision, and is told by the ledger.
    if (code === "hook-refused") expect(await endedRow(who)).toMatchObject({ endReason: "rejected", bytesIn: 0 });
    else expect(attempts[0]).toMatchObject({ outcome: "deny", code });
    const explained = await lab.succeed(["explain", "--user", who, "--last"]);
    expect(explained).not.toContain(presented);
  });

  test("a veto tells the hook that it ended, and frees the address", async () => {
    const told = await lab.hook.called((call) => call.environment.VPN_USER_ID === "vetoed", { count: 2 });
    const [connect, disconnect] = told.map((call) => call.environment);
    expect(connect).toMatchObject({ VPN_EVENT: "C" });
    expect(disconnect).toMatchObject({ VPN_EVENT: "D", VPN_DISCONNECT_REASON: "rejected", VPN_BYTES_IN: "0" });
    expect(disconnect?.VPN_SESSION_ID).toBe(connect?.VPN_SESSION_ID);
    expect(await heldAddresses(lab.dataDirectory)).not.toContain(connect?.VPN_IP_FOUR);
  });

  test("a vetoing hook that may speak to the person is heard, once the configuration is read again", async () => {
    const gate = { name: "gate", script: lab.hook.path, veto: true, showOutput: true };
    await lab.configure({ connectScriptPath: undefined, hooks: [gate] });
    lab.daemon.signal("SIGHUP");
    await until("the reloaded hook", async () => {
      const hooks = await lab.json<{ id: string }[]>(["hook", "list"]);
      return hooks.some((hook) => hook.id === "gate");
    });
    await lab.addUser("vetoed2", password);
    const client = await lab.client({ ovpnText: await lab.issue("vetoed2"), user: "vetoed2", password });
    expect(await client.refused()).toBe("Your device is not in the inventory.");
    await client.stop();
  });
});

describe("an administrator", () => {
  test("ends a connection: the client is out, the row says admin, the hook is told", async () => {
    const { client } = await connect("bob");
    const [row] = await lab.json<ConnectionRow[]>(["connection", "list", "--user", "bob"]);
    await lab.succeed(["connection", "kill", row?.id ?? ""]);
    expect(await endedRow("bob")).toMatchObject({ id: row?.id, endReason: "admin" });
    expect(await client.ping("10.42.0.1", { count: 1 })).toBe(false);
    await lab.hook.called(({ environment }) => environment.VPN_DISCONNECT_REASON === "admin");
    await client.stop();
  });

  test("disables an account: its connection ends, and the device does not come back", async () => {
    const { client } = await connect("carol");
    await lab.succeed(["user", "disable", "carol"]);
    expect(await endedRow("carol")).toMatchObject({ endReason: "disabled" });
    expect(client.timesConnected()).toBe(1);
    await client.stop();
  });
});

test("the same device coming back takes over; its older connection ends as replaced, with one disconnect", async () => {
  const { client, ovpnText } = await connect("dave");
  const [first] = await rows("dave");
  await client.kill();
  const again = await lab.client({ ovpnText, user: "dave", password });
  await again.connected();
  expect(await again.ping("10.42.0.1")).toBe(true);
  const old = await until("the older row to end", async () =>
    (await rows("dave")).find((row) => row.id === first?.id && row.state === "ended"),
  );
  expect(old.endReason).toBe("replaced");
  await again.stop();
});

test("stopping the daemon ends everybody as shutdown, tells the hooks, and leaves no openvpn behind", async () => {
  const { client } = await connect("erin");
  expect(await client.ping("10.42.0.1")).toBe(true);
  expect(await lab.daemon.stop()).toBe(0);
  expect(await lab.daemon.openvpnPids()).toEqual([]);
  const isHers = ({ environment }: { environment: Record<string, string> }) => environment.VPN_USER_ID === "erin";
  const told = await lab.hook.called((call) => isHers(call) && call.environment.VPN_EVENT === "D");
  expect(told[0]?.environment.VPN_DISCONNECT_REASON).toBe("shutdown");
  expect(await heldAddresses(lab.dataDirectory)).toEqual([]);
  await client.stop();
});
