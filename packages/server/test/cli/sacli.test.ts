import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sacliVerbs } from "../../src/api/access-server/verb-list.ts";
import { reserve } from "../hooks/ledger.ts";
import { startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startTestDaemon();
});

afterAll(async () => await daemon.close());

/** What it prints, which must be JSON without `--json`. */
async function sacli(...args: string[]): Promise<unknown> {
  const { status, stdout, stderr } = await daemon.run(["sacli", ...args]);
  if (status !== 0) throw new Error(`${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout);
}

const put = (user: string, key: string, value: string) =>
  sacli("--user", user, "--key", key, "--value", value, "UserPropPut");

test("a user comes into being with its first property, is shown as Access Server shows it, and goes with the last", async () => {
  expect(await put("alice", "type", "user_connect")).toEqual([true, {}]);
  await put("alice", "prop_autologin", "true");
  await sacli("--user", "alice", "--new_pass", "hunter2", "SetLocalPassword");
  expect(await sacli("--pfilt", "alice", "UserPropGet")).toEqual({
    alice: { prop_autologin: "true", pvt_password_digest: "[secret]", type: "user_connect" },
  });
  const { stdout } = await daemon.run(["authcli", "-u", "alice"], "hunter2\n");
  expect(stdout).toContain("status : SUCCEED");

  await sacli("--user", "alice", "--key", "prop_autologin", "UserPropDel");
  await sacli("--user", "alice", "--key", "prop_autologin", "UserPropDel");
  expect(await sacli("--user", "alice", "UserPropGet")).toEqual({
    alice: { pvt_password_digest: "[secret]", type: "user_connect" },
  });
  await sacli("--user", "alice", "UserPropDelAll");
  expect(await sacli("--user", "alice", "UserPropGet")).toEqual({});
  expect(await daemon.store.accounts.user("alice")).toBeUndefined();
  expect((await daemon.run(["sacli", "--user", "alice", "UserPropDelAll"])).stderr).toContain("not-found");
});

test("a group is declared by type or group_declare, carries subnets, and places users", async () => {
  await put("eng", "type", "group");
  await put("eng", "group_declare", "true");
  await put("ops", "group_declare", "true");
  await put("eng", "group_subnets.0", "10.50.0.0/24");
  await put("bob", "conn_group", "eng");
  expect(await sacli("UserPropGet")).toEqual({
    __DEFAULT__: { type: "user_default" },
    bob: { conn_group: "eng", type: "user_connect" },
    eng: { group_declare: "true", "group_subnets.0": "10.50.0.0/24", type: "group" },
    ops: { group_declare: "true", type: "group" },
  });
  expect(Object.keys((await sacli("--tfilt", "group", "UserPropGet")) as object)).toEqual(["eng", "ops"]);
  // What says that it is a group is no property that its members inherit.
  expect(await daemon.store.accounts.properties({ kind: "group", name: "eng" })).toEqual({
    "group_subnets.0": "10.50.0.0/24",
  });
  await sacli("--user", "ops", "UserPropDelAll");
  expect(await daemon.store.accounts.group("ops")).toBeUndefined();
});

test("a record whose properties came before its type becomes a group with them; a user with a password does not", async () => {
  await put("night", "prop_deny", "true");
  await put("night", "type", "group");
  expect(await sacli("--user", "night", "UserPropGet")).toEqual({
    night: { group_declare: "true", prop_deny: "true", type: "group" },
  });
  expect(await daemon.store.accounts.user("night")).toBeUndefined();
  await sacli("--user", "carol", "--new_pass", "hunter2", "SetLocalPassword");
  const refused = await daemon.run(["sacli", "--user", "carol", "--key", "type", "--value", "group", "UserPropPut"]);
  expect({ status: refused.status, stderr: refused.stderr }).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("conflict"),
  });
});

test("__DEFAULT__ stands behind everybody", async () => {
  await put("__DEFAULT__", "prop_lzo", "true");
  expect(await daemon.json(["property", "get", "--default", "prop_lzo"])).toMatchObject({ value: "true" });
  expect(await sacli("--user", "__DEFAULT__", "UserPropGet")).toEqual({
    __DEFAULT__: { prop_lzo: "true", type: "user_default" },
  });
  await sacli("--user", "__DEFAULT__", "UserPropDelAll");
  expect(await daemon.store.accounts.properties({ kind: "default" })).toEqual({});
  const refused = await daemon.run(["sacli", "--user", "__DEFAULT__", "--new_pass", "hunter2", "SetLocalPassword"]);
  expect(refused.stderr).toContain("only users can");
});

test("a password's SHA-256, as provisioning scripts put it, is that password; another digest is refused, not guessed", async () => {
  const sha256OfPassword = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
  await put("frank", "pvt_password_digest", sha256OfPassword);
  expect((await daemon.run(["authcli", "-u", "frank"], "password\n")).stdout).toContain("status : SUCCEED");
  expect((await daemon.run(["authcli", "-u", "frank"], `${sha256OfPassword}\n`)).stdout).toContain("status : FAIL");
  const refused = await daemon.run([
    ...["sacli", "--user", "frank", "--key", "pvt_password_digest", "--value", "$scrypt$n$x", "UserPropPut"],
  ]);
  expect(refused.stderr).toContain("SetLocalPassword");
  await sacli("--user", "frank", "RemoveLocalPassword");
  expect(await daemon.store.accounts.user("frank")).toMatchObject({ hasPassword: false });
});

test("a password that is not on the command line is a line of standard input", async () => {
  const { status } = await daemon.run(["sacli", "--user", "gina", "SetLocalPassword"], "hunter2\n");
  expect(status).toBe(0);
  expect((await daemon.run(["authcli", "-u", "gina"], "hunter2\n")).stdout).toContain("status : SUCCEED");
});

test("settings are put, asked for and deleted; secrets among all of them are masked", async () => {
  expect(await sacli("--key", "auth.module.type", "--value", "local", "ConfigPut")).toEqual([true, {}]);
  await sacli("-k", "auth.radius.0.server.0.secret", "-v", "testing123", "ConfigPut");
  expect(await sacli("ConfigQuery")).toEqual({
    "auth.module.type": "local",
    "auth.radius.0.server.0.secret": "[secret]",
  });
  expect(await sacli("--key", "auth.radius.0.server.0.secret", "ConfigQuery")).toEqual({
    "auth.radius.0.server.0.secret": "testing123",
  });
  await sacli("--key", "auth.radius.0.server.0.secret", "ConfigDel");
  await sacli("--key", "auth.radius.0.server.0.secret", "ConfigDel");
  expect(await sacli("ConfigQuery")).toEqual({ "auth.module.type": "local" });
});

test("ConfigPut of the post-auth script from a file makes a version live, and ConfigDel takes the script away", async () => {
  const file = join(daemon.directory, "gate.py");
  await writeFile(file, "def post_auth(authcred, attributes, authret, info):\n    return authret\n");
  const key = ["--key", "auth.module.post_auth_script"];
  await sacli(...key, "--value_file", file, "ConfigPut");
  expect(await daemon.json(["post-auth", "list"])).toMatchObject([{ id: "access-server", activeVersion: 1 }]);
  expect(await sacli(...key, "ConfigQuery")).toMatchObject({
    "auth.module.post_auth_script": expect.stringContaining("def post_auth"),
  });
  await sacli(...key, "ConfigDel");
  expect(await daemon.json(["post-auth", "list"])).toEqual([]);
});

test("who is connected is told by daemon, in the columns that the header names", async () => {
  const { id } = await reserve(daemon.store, { userId: "henry" });
  const connection = await daemon.store.ledger.get(id);
  expect(await sacli("VPNSummary")).toEqual({ n_clients: 1 });
  const status = (await sacli("VPNStatus")) as Record<
    string,
    { client_list: string[][]; client_list_header: Record<string, number> }
  >;
  expect(Object.keys(status).slice(0, 2)).toEqual(["openvpn_0", "openvpn_1"]);
  const rows = Object.values(status).flatMap(({ client_list, client_list_header }) =>
    client_list.map((row) =>
      Object.fromEntries(Object.entries(client_list_header).map(([k, place]) => [k, row[place]])),
    ),
  );
  expect(rows).toMatchObject([
    { Username: "henry", "Common Name": connection?.connectionId, "Virtual Address": connection?.ipv4 },
  ]);
  expect(status.wireguard_0).toMatchObject({ client_list: [], routing_table: [] });
  expect(await sacli("--user", "henry", "DisconnectUser")).toEqual([true, {}]);
  expect(await sacli("VPNSummary")).toEqual({ n_clients: 0 });
});

test("device files are printed as they are, auto-login ones only for whoever may have them; revoking refuses all", async () => {
  await put("jane", "type", "user_connect");
  const file = await daemon.run(["sacli", "--user", "jane", "GetUserlogin"]);
  expect(file.stdout).toMatch(/^client\n|\nclient\n/);
  expect(file.stdout).toContain("BEGIN PRIVATE KEY");
  const refused = await daemon.run(["sacli", "--user", "jane", "GetAutologin"]);
  expect(refused).toMatchObject({ status: 1, stdout: "", stderr: expect.stringContaining("autologin-not-allowed") });
  await put("jane", "prop_autologin", "true");
  expect((await daemon.run(["sacli", "--user", "jane", "GetAutologin"])).status).toBe(0);
  const kinds = async () =>
    (
      (await daemon.json(["client-config", "list", "--user", "jane"])) as { kind: string; revokedAt: string | null }[]
    ).map(({ kind, revokedAt }) => [kind, revokedAt !== null]);
  expect((await kinds()).sort()).toEqual([
    ["auto-login", false],
    ["user-locked", false],
  ]);
  await sacli("--user", "jane", "RevokeUser");
  expect((await kinds()).sort()).toEqual([
    ["auto-login", true],
    ["user-locked", true],
  ]);
});

test("start and status say that the services are on; there is nothing to restart", async () => {
  const status = {
    errors: {},
    service_status: expect.objectContaining({ auth: "on", openvpn_0: "on", openvpn_1: "on" }),
  };
  expect(await sacli("start")).toEqual(status);
  expect(await sacli("status")).toEqual(status);
  expect(await sacli("Version")).toBe("Sallyport 1.2.3");
});

test("an unknown verb and a missing option are wrong usage, and the verbs are named", async () => {
  const unknown = await daemon.run(["sacli", "--user", "x", "UserPropSet"]);
  expect(unknown.status).toBe(2);
  for (const verb of Object.keys(sacliVerbs)) expect(unknown.stderr).toContain(verb);
  const missing = await daemon.run(["sacli", "--key", "x", "UserPropPut"]);
  expect(missing).toMatchObject({ status: 2, stderr: "sallyport: UserPropPut needs --user\n" });
});

test("values that a known property cannot have are refused", async () => {
  const refused = await daemon.run(["sacli", "--user", "ida", "--key", "prop_deny", "--value", "yes", "UserPropPut"]);
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining("true or false") });
  expect((await daemon.run(["sacli", "--user", "ida", "--key", "type", "--value", "x", "UserPropPut"])).status).toBe(1);
});
