import { lstat, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startTestDaemon();
});

afterAll(async () => await daemon.close());

const gate = `from pyovpn.plugin import *

def post_auth(authcred, attributes, authret, info):
    print("looking at", authcred["username"])
    if authcred["username"] == "mallory":
        authret["status"] = FAIL
        authret["client_reason"] = "Not you."
    authret["proplist"]["conn_group"] = "eng"
    return authret
`;
const cases = `
- name: engineers get their group
  authcred: { username: alice }
  expect: { status: 0, proplist: { conn_group: eng } }
- name: mallory stays out
  authcred: { username: mallory }
  expect: { status: 1, client_reason: Not you. }
`;
const wrongCases = cases.replace("conn_group: eng", "conn_group: sales");

async function file(name: string, text: string): Promise<string> {
  const path = join(daemon.directory, name);
  await writeFile(path, text);
  return path;
}

test("a script is stored, made live, replaced, taken back, taken out, ordered and removed", async () => {
  const path = await file("gate.py", gate);
  const stored = await daemon.json(["post-auth", "add", "gate", path]);
  expect(stored).toMatchObject({
    id: "gate@1",
    version: 1,
    language: "python",
    active: false,
    createdBy: expect.any(String),
  });
  expect(await daemon.json(["post-auth", "activate", "gate"])).toMatchObject({ version: 1, active: true });
  await daemon.json(["post-auth", "add", "gate", await file("gate2.py", `${gate}# newer\n`)]);
  expect((await daemon.run(["post-auth", "activate", "gate", "2"])).stdout).toBe("Version 2 of gate is live.\n");
  expect((await daemon.run(["post-auth", "show", "gate"])).stdout).toBe(`${gate}# newer\n`);
  expect((await daemon.run(["post-auth", "show", "gate", "1"])).stdout).toBe(gate);
  expect(await daemon.json(["post-auth", "versions", "gate"])).toMatchObject([
    { version: 1 },
    { version: 2, active: true },
  ]);
  expect(await daemon.json(["post-auth", "rollback", "gate"])).toMatchObject({ version: 1, active: true });

  await daemon.json(["post-auth", "add", "second", path]);
  expect(
    ((await daemon.json(["post-auth", "order", "second", "gate"])) as { id: string }[]).map(({ id }) => id),
  ).toEqual(["second", "gate"]);
  expect((await daemon.run(["post-auth", "list"])).stdout).toMatch(
    /^ORDER +NAME.*\n1 +second +none +1\n2 +gate +1 +2\n$/,
  );
  expect(await daemon.json(["post-auth", "deactivate", "gate"])).toMatchObject({ id: "gate", activeVersion: null });
  await daemon.json(["post-auth", "remove", "second"]);
  expect(await daemon.json(["post-auth", "list"])).toHaveLength(1);
  for (const wrong of [
    ["show", "nothing"],
    ["activate", "gate", "99"],
    ["rollback", "nothing"],
    ["remove", "nothing"],
  ]) {
    expect((await daemon.run(["post-auth", ...wrong])).stderr).toContain("not-found");
  }
  expect(await daemon.run(["post-auth", "activate", "gate", "latest"])).toMatchObject({ status: 2 });
});

test("a script that comes with Sallyport is stored, gets settings instead of edits, and goes live", async () => {
  expect((await daemon.run(["post-auth", "shipped"])).stdout).toMatch(/^source-networks +no +\S/m);
  const settings = await file("networks.json", '{ "allow": ["192.0.2.0/24"] }');
  const stored = await daemon.json(["post-auth", "add-shipped", "source-networks", "--as", "office"]);
  expect(stored).toMatchObject({ script: "office", version: 1, language: "typescript", active: false, hasCases: true });
  // It cannot work with its defaults, and says so instead of refusing everybody.
  expect(await daemon.run(["post-auth", "activate", "office"])).toMatchObject({ status: 1 });
  const configured = await daemon.run(["post-auth", "configure", "office", settings]);
  expect(configured.stdout).toMatch(/^allow +\["192\.0\.2\.0\/24"\] +\[\]$/m);
  expect(await daemon.json(["post-auth", "activate", "office"])).toMatchObject({ active: true });
  expect(await daemon.json(["post-auth", "settings", "office"])).toMatchObject({
    inForce: { allow: ["192.0.2.0/24"] },
  });
  const wrong = await daemon.run(["post-auth", "configure", "office", await file("typo.json", '{ "alow": [] }')]);
  expect(wrong).toMatchObject({ status: 1, stderr: expect.stringContaining("alow") });
  expect(await daemon.run(["post-auth", "configure", "office"])).toMatchObject({ status: 2 });
  expect((await daemon.run(["post-auth", "add-shipped", "nothing"])).stderr).toContain("source-networks");
  await daemon.json(["post-auth", "remove", "office"]);
});

test("a version whose cases fail goes live only by force", async () => {
  const path = await file("cased.py", gate);
  await daemon.json(["post-auth", "add", "cased", path, "--cases", await file("wrong.yaml", wrongCases)]);
  expect(await daemon.run(["post-auth", "activate", "cased"])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("cases-failed"),
  });
  expect(await daemon.json(["post-auth", "activate", "cased", "--force"])).toMatchObject({ active: true });
});

test("cases are run against a stored script, one object each, and the exit status says whether one failed", async () => {
  await daemon.json([
    "post-auth",
    "add",
    "tried",
    await file("tried.py", gate),
    "--cases",
    await file("c.yaml", cases),
  ]);
  expect(await daemon.json(["post-auth", "test", "tried"])).toMatchObject([
    { name: "engineers get their group", passed: true, status: 0, printed: "looking at alice\n" },
    { name: "mallory stays out", passed: true, status: 1, client_reason: "Not you." },
  ]);
  const failed = await daemon.run(["post-auth", "test", "tried", "--cases", await file("w.yaml", wrongCases)]);
  expect(failed).toMatchObject({ status: 1, stderr: expect.stringContaining("1 of 2 cases failed") });
  expect(failed.stdout).toContain("FAILED  engineers get their group");
  expect(failed.stdout).toContain('proplist.conn_group: expected "sales", was "eng"');
  expect(failed.stdout).toContain("passed  mallory stays out");
});

test("a file is checked and tested where no daemon runs, and nothing of it stays", async () => {
  const path = await file("alone.py", gate);
  const nowhere = ["--config", join(daemon.directory, "nowhere.yaml")];
  expect(await daemon.run(["post-auth", "check", path, ...nowhere])).toEqual({
    status: 0,
    stdout: `${path} defines post_auth and loads.\n`,
    stderr: "",
  });
  const casesFile = await file("alone.yaml", cases);
  const tested = await daemon.json(["post-auth", "test", path, "--cases", casesFile, ...nowhere]);
  expect(tested).toMatchObject([{ passed: true }, { passed: true }]);
  expect(await daemon.run(["post-auth", "test", path, ...nowhere])).toMatchObject({ status: 2 });
  expect(await daemon.run(["post-auth", "test", `${path}x`, "--cases", casesFile])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("not-found"),
  });
});

test("a fault of a script is told with its line, when it is checked and when it is added", async () => {
  const path = await file(
    "broken.py",
    "import os\n\ndef post_auth(authcred, attributes, authret, info)\n    return authret\n",
  );
  const checked = await daemon.run(["post-auth", "check", path]);
  expect(checked).toMatchObject({ status: 1, stdout: "", stderr: expect.stringMatching(/script-invalid: .*line 3/) });
  const asJson = await daemon.run(["--json", "post-auth", "check", path]);
  expect(JSON.parse(asJson.stdout)).toMatchObject({ id: path, ok: false, facts: null, fault: { line: 3 } });
  const added = await daemon.run(["post-auth", "add", "broken", path]);
  expect(added).toMatchObject({ status: 1, stderr: expect.stringMatching(/script-invalid: .*line 3/) });
});

test("what is no script is refused before it is sent", async () => {
  const add = async (path: string) => await daemon.run(["post-auth", "add", "odd", path]);
  expect((await add(await file("big.py", "#".repeat(10_000_000)))).stderr).toContain("larger than 1 MiB");
  expect((await add(await file("nul.py", "a\0b"))).stderr).toContain("NUL byte in line 1");
  expect((await add(daemon.directory)).stderr).toContain("it is a directory");
  expect((await add(join(daemon.directory, "missing"))).stderr).toMatch(
    /not-found: .*there is no such file\n.*Name a file/,
  );
  const latin = join(daemon.directory, "latin.py");
  await writeFile(latin, Buffer.from("# caf\xe9\n", "latin1"));
  expect((await add(latin)).stderr).toContain("iconv");
  expect((await daemon.run(["post-auth", "add", "../evil", await file("ok.py", gate)])).stderr).toContain(
    "invalid-input",
  );
});

test("Access Server's setting of the script is a version that goes live at once", async () => {
  const key = "auth.module.post_auth_script";
  const path = await file("setting.py", gate);
  await daemon.json(["config", "set", key, "--value-file", path]);
  expect(await daemon.json(["post-auth", "versions", "access-server"])).toMatchObject([{ version: 1, active: true }]);
  expect((await daemon.run(["config", "get", key])).stdout).toBe(`${gate}\n`);
  expect(await daemon.json(["config", "list"])).toMatchObject([{ id: key, value: gate }]);
  expect((await daemon.run(["config", "set", key, "def post_auth("])).stderr).toContain("script-invalid");
  expect(await daemon.json(["config", "get", key])).toMatchObject({ value: gate });
  await daemon.json(["config", "delete", key]);
  expect((await daemon.run(["config", "get", key])).stderr).toContain("not-found");
  expect((await daemon.run(["post-auth", "show", "access-server"])).stderr).toContain("not-found");
});

test("a script as large as it may be is stored", async () => {
  const large = `${gate}# ${"x".repeat(1024 * 1024 - gate.length - 3)}\n`;
  expect(await daemon.json(["post-auth", "add", "large", await file("large.py", large)])).toMatchObject({ version: 1 });
});

const issue = ["client-config", "issue", "--user", "alice", "--profile", "office"];

test("a client config comes alone on standard output", async () => {
  const { status, stdout, stderr } = await daemon.run(issue);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^# Sallyport client config\n/);
  expect(stdout).toContain("<key>");
  const asJson = (await daemon.json(issue)) as { id: string; file: string };
  expect(asJson).toMatchObject({ userId: "alice", profileId: "office", kind: "user-locked" });
  expect(asJson.file).toContain("<key>");
});

test("or in a file that only its owner can read, in place of nothing unless forced", async () => {
  const out = join(daemon.directory, "alice.ovpn");
  const said = (await daemon.json([...issue, "--out", out])) as { id: string };
  expect(said).toMatchObject({ out, userId: "alice" });
  expect(JSON.stringify(said)).not.toContain("<key>");
  expect((await stat(out)).mode & 0o777).toBe(0o600);
  const first = await readFile(out, "utf8");
  expect(first).toContain(said.id);

  const count = async () => ((await daemon.json(["client-config", "list"])) as unknown[]).length;
  const before = await count();
  expect(await daemon.run([...issue, "--out", out])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("already-exists"),
  });
  expect(await readFile(out, "utf8")).toBe(first);
  expect(await count()).toBe(before);

  await daemon.run([...issue, "--out", out, "--force"]);
  expect(await readFile(out, "utf8")).not.toBe(first);
  expect((await stat(out)).mode & 0o777).toBe(0o600);
});

test("a symbolic link is never followed", async () => {
  const target = await file("target", "precious");
  const link = join(daemon.directory, "link.ovpn");
  await symlink(target, link);
  expect((await daemon.run([...issue, "--out", link])).status).toBe(1);
  expect((await daemon.run([...issue, "--out", link, "--force"])).status).toBe(0);
  expect(await readFile(target, "utf8")).toBe("precious");
  expect((await lstat(link)).isSymbolicLink()).toBe(false);
});

test("where nothing could be issued or written, no file is left and nothing was issued", async () => {
  const empty = join(daemon.directory, "empty");
  await mkdir(empty);
  for (const force of [[], ["--force"]]) {
    const wrong = [
      "client-config",
      "issue",
      "--user",
      "alice",
      "--profile",
      "nowhere",
      "--out",
      join(empty, "x"),
      ...force,
    ];
    expect((await daemon.run(wrong)).stderr).toContain("not-found");
  }
  expect(await readdir(empty)).toEqual([]);
  const before = (await daemon.json(["client-config", "list"])) as unknown[];
  expect((await daemon.run([...issue, "--out", join(empty, "no", "x")])).stderr).toContain("there is no such file");
  expect(await daemon.json(["client-config", "list"])).toEqual(before);
});

test("client configs are listed, and revoked once", async () => {
  const { id } = (await daemon.json([...issue.slice(0, 2), "--user", "bob", "--profile", "office"])) as { id: string };
  expect(await daemon.json(["client-config", "list", "--user", "bob"])).toMatchObject([
    { id, userId: "bob", profileId: "office", revokedAt: null },
  ]);
  expect((await daemon.run(["client-config", "revoke", id])).stdout).toBe(`Revoked client config ${id}.\n`);
  expect((await daemon.run(["client-config", "list", "--user", "bob"])).stdout).toContain("revoked");
  expect((await daemon.run(["client-config", "revoke", id])).stderr).toContain("conflict");
  expect((await daemon.run(["client-config", "revoke", "x"])).stderr).toContain("not-found");
});

test("whose a client config is must be said, except where it is nobody's", async () => {
  const of = async (...words: string[]) =>
    await daemon.run(["client-config", "issue", "--profile", "office", ...words]);
  expect(await of()).toMatchObject({ status: 2, stdout: "" });
  expect(await of("--user", "a", "--kind", "server-locked")).toMatchObject({ status: 2 });
  expect(await of("--user", "a", "--kind", "stolen")).toMatchObject({ status: 2 });
  expect(await of("--kind", "server-locked")).toMatchObject({ status: 0 });
});
