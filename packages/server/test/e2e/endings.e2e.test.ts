import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { clientReasonOf } from "../../src/core/errors.ts";
import type { ConnectionRow } from "./lab/ledger.ts";
import { inside } from "./lab/network.ts";
import { openLab, until } from "./lab.ts";

const password = "correct horse battery staple";

/** Whoever is not quick waits, and says so by a file, until there is another one. */
const waitingScript = `
import os, time
def post_auth(authcred, attributes, authret, info):
    user = authcred['username']
    if user != 'quick':
        open('waiting-' + user, 'w').close()
        while not os.path.exists('released'):
            time.sleep(0.1)
    return authret
`;

test("what was revoked while a script took its time is not let in; a stop waits for no script, and leaves nothing", async () => {
  await using lab = await openLab({ config: { scripts: { deadlineMs: 40_000 } } });
  await lab.daemon.start();
  for (const user of ["quick", "slow", "hung"]) await lab.addUser(user, password);
  const file = join(lab.directory, "slow.py");
  await writeFile(file, waitingScript);
  await lab.succeed(["post-auth", "add", "slow", file]);
  await lab.succeed(["post-auth", "activate", "slow"]);
  const issue = ["client-config", "issue", "--user", "slow", "--profile", "office"];
  const slowFile = await lab.succeed(issue);
  const [device] = await lab.json<{ id: string }[]>(["client-config", "list", "--user", "slow"]);

  const quick = await lab.client({ ovpnText: await lab.issue("quick"), user: "quick", password });
  await quick.connected();
  const slow = await lab.client({ ovpnText: slowFile, user: "slow", password });
  const where = join(lab.dataDirectory, "scripts");
  await until("the script to be asked", () => existsSync(join(where, "waiting-slow")), { otherwise: slow.log });
  await lab.succeed(["client-config", "revoke", device?.id ?? ""]);
  await writeFile(join(where, "released"), "");
  expect(await slow.refused()).toContain(clientReasonOf("certificate-revoked").slice(0, 30));
  const rows = await lab.json<ConnectionRow[]>(["connection", "list", "--user", "slow"]);
  expect(rows).toEqual([]);
  expect((await lab.hook.calls()).filter(({ environment }) => environment.VPN_USER_ID === "slow")).toEqual([]);

  await rm(join(where, "released"));
  const hung = await lab.client({ ovpnText: await lab.issue("hung"), user: "hung", password });
  await until("the script to be asked", () => existsSync(join(where, "waiting-hung")), { otherwise: hung.log });
  expect(await lab.daemon.stop()).toBe(0);
  const [nft = "", ...words] = inside(lab.network.server, ["nft", "list", "tables"]);
  expect((await promisify(execFile)(nft, words)).stdout).toBe("");
  const told = (await lab.hook.calls()).filter(({ environment }) => environment.VPN_EVENT === "D");
  expect(told.map(({ environment }) => environment.VPN_DISCONNECT_REASON)).toEqual(["shutdown"]);
});

test("who is deleted stays out, with an auto-login device too; a new password ends what the old one began", async () => {
  await using lab = await openLab();
  await lab.daemon.start();
  await lab.addUser("alice", password);
  await lab.addUser("bob", password);
  await lab.succeed(["property", "set", "--default", "prop_autologin", "true"]);
  const issue = ["client-config", "issue", "--user", "alice", "--profile", "office", "--kind", "auto-login"];
  const ovpnText = await lab.succeed(issue);
  const client = await lab.client({ ovpnText });
  await client.connected();
  await lab.succeed(["user", "delete", "alice"]);
  await until("the client to end", async () => !client.running());
  const again = await lab.client({ ovpnText });
  expect(await again.refused()).toContain(clientReasonOf("certificate-revoked").slice(0, 30));

  const bob = await lab.client({ ovpnText: await lab.issue("bob"), user: "bob", password });
  await bob.connected();
  await lab.succeed(["user", "password", "bob", "--password-stdin"], "another one altogether\n");
  await lab.succeed(["connection", "kill", "--user", "bob", "--may-return"]);
  const attempts = () => lab.json<{ outcome: string; code: string | null }[]>(["attempt", "list", "--user", "bob"]);
  await until("the old token to be refused", async () =>
    (await attempts()).some(({ code }) => code === "session-expired"),
  );
});
