import { expect, test } from "vitest";
import { clientReasonOf } from "../../src/core/errors.ts";
import type { ConnectionRow } from "./lab/ledger.ts";
import { openLab, until } from "./lab.ts";

const password = "correct horse battery staple";
const office = {
  id: "office",
  openvpn: { managed: { listen: ["udp/1194"], renegotiateSeconds: 8 } },
  ranges: { ipv4: "10.42.0.0/24" },
};

type Attempt = { id: string; kind: string; outcome: string; code: string | null };

test("a renewed key is decided about again, without the hooks; whoever may no longer stay is put out and reads why", async () => {
  await using lab = await openLab({ config: { profiles: [office] } });
  await lab.daemon.start();
  await lab.addUser("alice", password);
  const client = await lab.client({ ovpnText: await lab.issue("alice"), user: "alice", password });
  await client.connected();
  const attempts = () => lab.json<Attempt[]>(["attempt", "list", "--user", "alice"]);
  const reauth = (outcome: string) => async () =>
    (await attempts()).find((attempt) => attempt.kind === "reauth" && attempt.outcome === outcome);

  await until("a key to be renewed", reauth("allow"), { deadlineMs: 60_000, otherwise: client.log });
  // While a key is renewed, a tunnel this young drops packets.
  await until("packets to pass", () => client.ping("10.42.0.1"), { otherwise: client.lastPing });
  expect(client.timesConnected()).toBe(1);
  expect((await lab.hook.calls()).length).toBe(1);

  await lab.succeed(["property", "set", "--user", "alice", "prop_deny", "true"]);
  const denied = await until("a renewal to be denied", reauth("deny"), { deadlineMs: 60_000, otherwise: client.log });
  expect(denied.code).toBe("access-denied");
  expect(await client.refused(60_000)).toBe(clientReasonOf("access-denied"));
  await until("the row to end", async () => {
    const [row] = await lab.json<ConnectionRow[]>(["connection", "log", "--user", "alice"]);
    return row?.state === "ended" && row.endReason === "rejected";
  });
  expect(await client.ping("10.42.0.1", { count: 1 })).toBe(false);
  const told = await lab.hook.called(({ environment }) => environment.VPN_EVENT === "D");
  expect(told.length).toBe(1);
});
