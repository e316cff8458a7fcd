import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ImportReport } from "../../src/api/commands/import-access-server.ts";
import { startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;

beforeEach(async () => {
  daemon = await startTestDaemon();
});

afterEach(async () => await daemon.close());

const script = "def post_auth(authcred, attributes, authret, info):\n    return authret\n";

/** As `sacli UserPropGet` prints it. */
const users = {
  __DEFAULT__: { def_deny: "false", prop_autogenerate: "true", type: "user_default" },
  alice: {
    conn_group: "eng",
    pvt_password_digest: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
    pvt_hw_addr: "00:01:02:ab:cd:ef",
    type: "user_compile",
  },
  bob: { prop_superuser: "true", pvt_password_digest: "$P$unknown", user_auth_type: "local", type: "user_connect" },
  eng: { "access_to.0": "+NAT:10.0.0.0/8", group_declare: "true", "group_subnets.0": "10.50.0.0/24", type: "group" },
};

/** As `sacli ConfigQuery` prints it. */
const settings = {
  "auth.ldap.0.bind_pw": "not to be told",
  "auth.ldap.0.server.0.host": "ldap.example.org",
  "auth.module.post_auth_script": script,
  "auth.module.type": "ldap",
  "cs.https.port": "943",
  "host.name": "vpn.example.org",
};

async function importing(...dumps: unknown[]): Promise<ImportReport> {
  return (await daemon.json(["import", "access-server", ...(await files(dumps))])) as ImportReport;
}

async function files(dumps: readonly unknown[]): Promise<string[]> {
  return await Promise.all(
    dumps.map(async (dump, i) => {
      const file = join(daemon.directory, `dump-${i}.json`);
      await writeFile(file, typeof dump === "string" ? dump : JSON.stringify(dump, null, 2));
      return file;
    }),
  );
}

async function everything() {
  const { accounts, settings: set, scripts } = daemon.store;
  return [
    await accounts.users(),
    await accounts.groups(),
    await accounts.allProperties(),
    await set.list(),
    await scripts.list(),
  ];
}

test("users, groups, properties, settings and the script are taken over, and what is not is said with its reason", async () => {
  const report = await importing(users, settings);
  expect(await daemon.json(["sacli", "UserPropGet"])).toEqual({
    __DEFAULT__: { prop_autogenerate: "true", type: "user_default" },
    alice: {
      conn_group: "eng",
      pvt_hw_addr: "00:01:02:ab:cd:ef",
      pvt_password_digest: "[secret]",
      type: "user_compile",
    },
    bob: { prop_superuser: "true", type: "user_connect", user_auth_type: "local" },
    eng: { "access_to.0": "+NAT:10.0.0.0/8", group_declare: "true", "group_subnets.0": "10.50.0.0/24", type: "group" },
  });
  expect(await daemon.store.settings.list()).toEqual({
    "auth.ldap.0.bind_pw": "not to be told",
    "auth.ldap.0.server.0.host": "ldap.example.org",
    "auth.module.type": "ldap",
  });
  expect(await daemon.json(["post-auth", "list"])).toMatchObject([{ id: "access-server", activeVersion: 1 }]);
  expect((await daemon.run(["authcli", "-u", "alice"], "password\n")).stdout).toContain("status : SUCCEED");
  expect(report.ignored).toEqual([
    { name: "bob", key: "pvt_password_digest", reason: expect.stringContaining("needs a new password") },
    { name: "cs.https.port", key: null, reason: expect.stringContaining("http in sallyport.yaml") },
    { name: "host.name", key: null, reason: expect.stringContaining("node.hostName") },
  ]);
  expect(JSON.stringify(report)).not.toMatch(/not to be told|5e884898/);
});

test("again it changes nothing, and a password that was set here meanwhile stays", async () => {
  await importing(users, settings);
  await daemon.json(["user", "password", "alice", "--password-stdin"], "new and better\n");
  const before = await everything();
  const report = await importing({ ...users, ...settings });
  expect(report).toMatchObject({ made: [], changed: [], unchanged: expect.any(Number) });
  expect(report.ignored[0]).toMatchObject({ name: "alice", key: "pvt_password_digest" });
  expect(await everything()).toEqual(before);
  expect((await daemon.run(["authcli", "-u", "alice"], "new and better\n")).stdout).toContain("status : SUCCEED");
});

test("a dry run says the same and writes nothing", async () => {
  const before = await everything();
  const { status, stdout, stderr } = await daemon.run([
    ...["import", "access-server", "--dry-run", ...(await files([{ UserPropGet: users, ConfigQuery: settings }]))],
  ]);
  expect(status).toBe(0);
  expect(stderr).toBe("Nothing was changed: this was a dry run.\n");
  expect(stdout).toContain("would be made:\n  eng\n  alice\n  bob\n");
  expect(await everything()).toEqual(before);
});

test("what was there with other values is changed, and said with what it was", async () => {
  await daemon.json(["group", "add", "eng"]);
  await daemon.json(["property", "set", "--user", "bob", "prop_superuser", "false"]);
  await daemon.json(["config", "set", "auth.module.type", "local"]);
  const { made, changed } = await importing(users, settings);
  expect(changed).toEqual([
    { name: "bob", key: "prop_superuser", before: "false", after: "true" },
    { name: "auth.module.type", key: null, before: "local", after: "ldap" },
  ]);
  expect(made.map(({ name, key }) => [name, key])).not.toContainEqual(["eng", null]);
});

test.each([
  [
    "a value that a known property cannot have",
    { ...users, carl: { prop_deny: "yes", type: "user_connect" } },
    "prop_deny",
  ],
  ["a group that is nowhere", { ...users, carl: { conn_group: "gone" } }, "conn_group names gone"],
  [
    "subnets of two groups that overlap",
    { ...users, ops: { type: "group", "group_subnets.0": "10.50.0.128/25" } },
    "overlaps",
  ],
  ["a name that nobody can have", { ...users, "a\u0000b": { type: "user_connect" } }, "cannot name a user"],
  ["a script that does not load", { ...users, "auth.module.post_auth_script": "def post_auth(:\n" }, "line 1"],
  ["an auth method that does not exist", { ...users, "auth.module.type": "magic" }, "auth.module.type"],
  ["a value that is no text", { ...users, carl: { prop_deny: true } }, "a text was expected"],
  ["something that is no JSON", "type: user_connect", "is not JSON"],
  ["something nested without end", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, "an object, as sacli prints it"],
  ["a name that JSON cannot carry", '{ "__proto__": { "type": "user_connect" } }', "__proto__: this name"],
  ["a property that JSON cannot carry", '{ "carl": { "__proto__": "x" } }', "carl: __proto__: this name"],
  ["an empty file", {}, "neither records nor settings"],
])("with %s nothing at all is written, and it is named", async (_what, dump, said) => {
  const before = await everything();
  const { status, stderr } = await daemon.run(["import", "access-server", ...(await files([dump]))]);
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(said) });
  expect(await everything()).toEqual(before);
});

test("where only users with a record were let in, only they are", async () => {
  const closed = { ...users, __DEFAULT__: { def_deny: "true" }, barred: { prop_deny: "true" } };
  await importing(closed);
  const denied = async (user: string) =>
    ((await daemon.json(["property", "get", "--user", user, "prop_deny"])) as { value: string }).value;
  expect(await Promise.all(["alice", "bob", "barred", "somebody else"].map(denied))).toEqual([
    ...["false", "false", "true", "true"],
  ]);
});

test("what another Sallyport's sacli prints can be taken over; what it masks is named", async () => {
  await importing(users);
  const printed = await daemon.json(["sacli", "UserPropGet"]);
  const report = await importing(printed);
  expect(report).toMatchObject({ made: [], changed: [] });
});
