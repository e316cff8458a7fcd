import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startTestDaemon();
});

afterAll(async () => await daemon.close());

const isoTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

test("a user is added with a password from standard input, and never shown with it", async () => {
  const added = await daemon.json(["user", "add", "alice", "--password-stdin"], "hunter2 \r\nnext line\n");
  expect(added).toEqual({ id: "alice", disabled: false, hasPassword: true, createdAt: isoTime });
  const digest = (await daemon.store.accounts.user("alice"))?.passwordDigest ?? "";
  expect(digest).toMatch(/^\$argon2id\$/);
  expect(await daemon.json(["authcli", "-u", "alice"], "hunter2 \n")).toMatchObject({ status: "SUCCEED" });
  const { stdout } = await daemon.run(["user", "show", "alice"]);
  expect(stdout).not.toContain("argon2id");
});

test("a user without a password is added without asking, and the person is told", async () => {
  const { status, stdout, stderr } = await daemon.run(["user", "add", "nopass"]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: "Added user nopass.\n" });
  expect(stderr).toContain("sallyport user password nopass");
  expect(await daemon.json(["user", "show", "nopass"])).toMatchObject({ hasPassword: false });
});

test("a second user of the same name is refused with the code and what to do", async () => {
  await daemon.json(["user", "add", "twin"]);
  const { status, stdout, stderr } = await daemon.run(["user", "add", "twin"]);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toBe(
    'sallyport: already-exists: there is a user "twin" already\n' +
      "  Next: Choose another name, or delete the old one first.\n",
  );
  const asJson = await daemon.run(["user", "add", "twin", "--json"]);
  expect(asJson.status).toBe(1);
  expect(JSON.parse(asJson.stderr).error).toMatchObject({ code: "already-exists", next: expect.any(String) });
});

test("disabling, enabling, a new password and deleting are seen in the list", async () => {
  await daemon.json(["user", "add", "bob"]);
  const bob = async () => ((await daemon.json(["user", "list"])) as { id: string }[]).find(({ id }) => id === "bob");
  expect(await daemon.json(["user", "disable", "bob"])).toMatchObject({
    id: "bob",
    disabled: true,
    endedConnections: 0,
  });
  expect(await bob()).toMatchObject({ disabled: true, hasPassword: false });
  await daemon.json(["user", "enable", "bob"]);
  await daemon.json(["user", "password", "bob", "--password-stdin"], "x");
  expect(await bob()).toMatchObject({ disabled: false, hasPassword: true });
  await daemon.json(["user", "delete", "bob"]);
  expect(await bob()).toBeUndefined();
  for (const verb of ["show", "disable", "enable", "delete"]) {
    expect((await daemon.run(["user", verb, "bob"])).stderr).toContain("not-found");
  }
});

test("a password is wrong usage where none comes: no terminal, an empty line, no line", async () => {
  await daemon.json(["user", "add", "carol"]);
  expect(await daemon.run(["user", "password", "carol"])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining("--password-stdin"),
  });
  expect(await daemon.run(["user", "password", "carol", "--password-stdin"], "\nx\n")).toMatchObject({ status: 2 });
  expect(await daemon.run(["user", "password", "carol", "--password-stdin"], "")).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("standard input ended"),
  });
  expect(await daemon.json(["user", "show", "carol"])).toMatchObject({ hasPassword: false });
});

const hostile: [what: string, name: string][] = [
  ["a newline", "a\nb"],
  ["an escape sequence", "\u001b]0;owned\u0007"],
  ["2,000 bytes", "x".repeat(2000)],
  ["nothing at all", ""],
];

test.each(hostile)("a user's name of %s is refused, and printed without obeying it", async (_what, name) => {
  const { status, stderr } = await daemon.run(["user", "add", "--", name]);
  expect(status).toBe(1);
  expect(stderr).toContain("invalid-input");
  expect(stderr).not.toMatch(/[^\P{Cc}\n]/u);
});

const strange = ["-rf", "--json", "Zoë O'Hara", "$(reboot)", "a b", "'; drop table users; --", "__proto__", "名前"];

test.each(strange)("a user may be named %j", async (name) => {
  await daemon.json(["user", "add", "--", name]);
  expect(await daemon.json(["user", "show", "--", name])).toMatchObject({ id: name });
  expect(((await daemon.json(["user", "list"])) as { id: string }[]).map(({ id }) => id)).toContain(name);
});

test("a password of 10 MB, or with a NUL byte, is refused in words", async () => {
  await daemon.json(["user", "add", "dora"]);
  const long = await daemon.run(["user", "password", "dora", "--password-stdin"], `${"x".repeat(10_000_000)}\n`);
  expect(long).toMatchObject({ status: 1, stderr: expect.stringContaining("too long") });
  const nul = await daemon.run(["user", "password", "dora", "--password-stdin"], "a\0b\n");
  expect(nul).toMatchObject({ status: 1, stderr: expect.stringContaining("invalid-input") });
  expect(`${long.stderr}${nul.stderr}`).not.toContain("xxx");
});

test("groups are added, listed, shown with their subnets, and deleted", async () => {
  expect(await daemon.json(["group", "add", "eng"])).toEqual({ id: "eng", createdAt: isoTime });
  await daemon.json(["property", "set", "--group", "eng", "group_subnets.0", "10.50.0.0/24"]);
  expect(await daemon.json(["group", "show", "eng"])).toEqual({
    id: "eng",
    createdAt: isoTime,
    properties: { "group_subnets.0": "10.50.0.0/24" },
    subnets: ["10.50.0.0/24"],
  });
  expect((await daemon.run(["group", "show", "eng"])).stdout).toContain("10.50.0.0/24");
  expect(await daemon.json(["group", "list"])).toEqual([{ id: "eng", createdAt: isoTime }]);
  expect((await daemon.run(["group", "add", "eng"])).stderr).toContain("already-exists");
  await daemon.json(["group", "delete", "eng"]);
  expect((await daemon.run(["group", "show", "eng"])).status).toBe(1);
});

test("an empty list prints nothing but a sentence on standard error, and [] as JSON", async () => {
  const { status, stdout, stderr } = await daemon.run(["config", "list"]);
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "No setting is set.\n" });
  expect(await daemon.run(["config", "list", "--json"])).toEqual({ status: 0, stdout: "[]\n", stderr: "" });
});

test("a property is set, got, listed and deleted, for a user, a group and the default", async () => {
  await daemon.json(["group", "add", "ops"]);
  for (const owner of [["--user", "erin"], ["--group", "ops"], ["--default"]]) {
    await daemon.json(["property", "set", ...owner, "prop_x", "it's"]);
    const from = owner[0]?.slice(2);
    const property = { id: "prop_x", key: "prop_x", value: "it's", from };
    expect(await daemon.json(["property", "get", ...owner, "prop_x"])).toEqual(property);
    expect((await daemon.run(["property", "get", "prop_x", ...owner])).stdout).toBe("it's\n");
    expect(await daemon.json(["property", "get", ...owner])).toEqual([property]);
    await daemon.json(["property", "delete", ...owner, "prop_x"]);
    expect(await daemon.json(["property", "get", ...owner])).toEqual([]);
    expect((await daemon.run(["property", "get", ...owner, "prop_x"])).stderr).toContain("not-found");
  }
});

test("a user's property that is inherited says from where", async () => {
  await daemon.json(["group", "add", "sales"]);
  await daemon.json(["property", "set", "--user", "frank", "conn_group", "sales"]);
  await daemon.json(["property", "set", "--group", "sales", "prop_deny", "true"]);
  await daemon.json(["property", "set", "--default", "prop_deny", "false"]);
  await daemon.json(["property", "set", "--default", "prop_expire", "60"]);
  const get = async (key: string) => await daemon.run(["property", "get", "--user", "frank", key]);
  expect(await get("prop_deny")).toMatchObject({ stdout: "true\n", stderr: "(from the group)\n" });
  expect(await get("prop_expire")).toMatchObject({ stdout: "60\n", stderr: "(from the default)\n" });
  expect(await get("conn_group")).toMatchObject({ stdout: "sales\n", stderr: "" });
});

test("a property that cannot be is refused, and which owner is meant must be clear", async () => {
  const set = async (...words: string[]) => await daemon.run(["property", "set", ...words]);
  expect((await set("--user", "alice", "conn_ip", "nowhere")).stderr).toContain("conn_ip must be an address");
  expect((await set("--group", "nogroup", "a", "b")).stderr).toContain("not-found");
  expect(await set("a", "b")).toMatchObject({ status: 2 });
  expect(await set("--user", "alice", "--default", "a", "b")).toMatchObject({ status: 2 });
  expect((await set("--user", "alice", "two words", "b")).stderr).toContain("invalid-input");
});

test("secrets among properties are masked wherever they are shown", async () => {
  await daemon.json(["property", "set", "--user", "alice", "pvt_google_auth_secret", "JBSWY3DP"]);
  for (const words of [
    ["property", "get", "--user", "alice"],
    ["property", "get", "--user", "alice", "pvt_google_auth_secret"],
    ["user", "show", "alice"],
  ]) {
    for (const json of [[], ["--json"]]) {
      const { stdout } = await daemon.run([...words, ...json]);
      expect(stdout).toContain("[secret]");
      expect(stdout).not.toContain("JBSWY3DP");
    }
  }
});

test("of a setting that nothing reads one is told, and where to say it instead; of one that is read, nothing", async () => {
  const set = async (key: string, value: string) => await daemon.run(["config", "set", key, value]);
  expect(await set("auth.modul.type", "ldap")).toMatchObject({
    status: 0,
    stderr: "It changes nothing: nothing here reads it.\n",
  });
  expect((await set("host.name", "vpn.example.org")).stderr).toContain("node.hostName");
  expect(await daemon.json(["config", "set", "auth.modul.type", "pam"])).toMatchObject({ unread: expect.any(String) });
  for (const [key, value] of Object.entries({
    "auth.module.type": "local",
    "auth.ldap.0.server.0.host": "ldap.example.org",
    "vpn.client.app_verify": "ZOOM=Zoom.*",
    "vpn.client.admin_scripts": "true",
    "vpn.client.script_reports": "true",
    "vpn.server.session_expire": "3600",
    "vpn.server.google_auth.enable": "false",
    "auth.module.post_auth_script": "def post_auth(authcred, attributes, authret, info):\n    return authret\n",
  })) {
    expect({ key, ...(await set(key, value)) }).toEqual({ key, status: 0, stdout: `Set ${key}.\n`, stderr: "" });
    await daemon.json(["config", "delete", key]);
  }
  for (const key of ["auth.modul.type", "host.name"]) await daemon.json(["config", "delete", key]);
});

test("settings are kept under Access Server's names; a wrong method is refused, secrets are masked unless asked for", async () => {
  await daemon.json(["config", "set", "auth.ldap.0.bind_pw", "s3cret"]);
  await daemon.json(["config", "set", "auth.module.type", "local"]);
  expect(await daemon.json(["config", "get", "auth.module.type"])).toEqual({
    id: "auth.module.type",
    key: "auth.module.type",
    value: "local",
  });
  const password = ["config", "get", "auth.ldap.0.bind_pw"];
  expect(await daemon.run(password)).toMatchObject({
    stdout: "[secret]\n",
    stderr: "(--show-secrets shows what is masked)\n",
  });
  expect(await daemon.json(password)).toMatchObject({ value: "[secret]" });
  expect(await daemon.run([...password, "--show-secrets"])).toMatchObject({ stdout: "s3cret\n", stderr: "" });
  expect(await daemon.json([...password, "--show-secrets"])).toMatchObject({ value: "s3cret" });
  expect((await daemon.run(["config", "list", "--show-secrets"])).stdout).toContain("s3cret");
  expect((await daemon.run(["config", "list"])).stdout).toBe(
    "SETTING              VALUE\nauth.ldap.0.bind_pw  [secret]\nauth.module.type     local\n",
  );
  expect((await daemon.run(["config", "set", "auth.module.type", "magic"])).stderr).toContain(
    "must be one of local, pam",
  );
  expect((await daemon.run(["config", "set", "vpn.server.session_expire", "1h"])).stderr).toContain(
    "number of seconds",
  );
  await daemon.json(["config", "set", "vpn.server.session_expire", "28800"]);
  await daemon.json(["config", "delete", "vpn.server.session_expire"]);
  await daemon.json(["config", "delete", "auth.module.type"]);
  expect((await daemon.run(["config", "get", "auth.module.type"])).stderr).toContain("not-found");
  expect(await daemon.run(["config", "set", "auth.module.type"])).toMatchObject({ status: 2 });
});
