import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { createGuardrails, generate } from "otplib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ErrorCode, errorTable } from "../../src/core/errors.ts";
import { type Child, startChild } from "./lab/child.ts";
import { inside } from "./lab/network.ts";
import { type Lab, openLab, until } from "./lab.ts";

const password = "correct horse";
let lab: Lab;
let radius: Child;

const script = `
def post_auth_cr(authcred, attributes, authret, info, crstate):
    if authcred['username'] == 'thrown':
        return authret['no such key']
    if authcred['username'] == 'asked':
        crstate.challenge_post_auth(authret, 'Again?')
    if authcred['username'] == 'barred':
        print('looked at', authcred['username'])
        authret['status'] = 1
        authret['reason'] = 'barred by the list'
    return authret
`;

/** A RADIUS server that knows another secret: its answers are signed with that. */
const otherSecret = `
import hashlib, os, socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 18120))
print('ready', flush=True)
while True:
    asked, address = server.recvfrom(4096)
    head = bytes([2, asked[1], 0, 20])
    server.sendto(head + hashlib.md5(head + asked[4:20] + b'another secret').digest(), address)
`;

beforeAll(async () => {
  lab = await openLab({
    hookBody: '[ "$VPN_USER_ID" = vetoed ] && { echo "no contract"; exit 1; }; exit 0',
    config: { lockOut: { failures: 2, windowMinutes: 15 }, scripts: { mostQuestions: 2 } },
  });
  await lab.daemon.start();
  radius = await startChild(inside(lab.network.server, ["python3", "-c", otherSecret]));
  await until("the RADIUS server", async () => radius.output().includes("ready"));
  const file = join(lab.directory, "gate.py");
  await writeFile(file, script);
  for (const command of [
    ["post-auth", "add", "gate", file],
    ["post-auth", "activate", "gate"],
    ["config", "set", "auth.ldap.0.server.0.host", "127.0.0.1:1"],
    ["config", "set", "auth.ldap.0.users_base_dn", "dc=example,dc=org"],
    ["config", "set", "auth.radius.0.server.0.host", "127.0.0.1:18120"],
    ["config", "set", "auth.radius.0.server.0.secret", "our secret"],
    ["config", "set", "auth.radius.0.per_server_timeout", "1"],
    ["config", "set", "auth.radius.0.per_server_retries", "1"],
  ]) {
    await lab.succeed(command);
  }
});

afterAll(async () => {
  await radius?.end("SIGKILL");
  await lab?.[Symbol.asyncDispose]();
});

/** What `explain` prints of the user's last attempt must name the cause, who must act and the next step. */
async function expectExplained(user: string, code: ErrorCode, says: RegExp): Promise<void> {
  const explained = await lab.succeed(["explain", "--user", user, "--last"]);
  const { kind, meaning, next } = errorTable[code];
  expect(explained).toContain(`${meaning} (${code})`);
  expect(explained).toMatch(new RegExp(`^Kind: +${kind} `, "m"));
  expect(explained).toMatch(says);
  expect(explained).toContain(`Next: ${next}`);
}

/** Signs in on the command line, which asks everything but the VPN. */
async function signIn(user: string, ...lines: string[]): Promise<void> {
  expect((await lab.sallyport(["authcli", "-u", user], lines.map((line) => `${line}\n`).join(""))).status).toBe(1);
}

/** Connects with a real client, and gives the code at the end of what the person reads. */
async function refusedAtTheDoor(user: string, presented = password): Promise<string> {
  const client = await lab.client({ ovpnText: await lab.issue(user), user, password: presented });
  await client.refused(60_000);
  const [, code = ""] = await client.sees(/AUTH_FAILED,.*\(code ([0-9A-Z]{6})\)/);
  await client.stop();
  return code;
}

test("a wrong password", async () => {
  await lab.addUser("alice", password);
  await signIn("alice", "incorrect horse");
  await expectExplained("alice", "wrong-credentials", /wrong password/);
});

test("an expired certificate, which the code that the person reads finds", async () => {
  await lab.addUser("late", password);
  const ovpnText = await lab.issue("late");
  const database = new Database(join(lab.dataDirectory, "sallyport.db"));
  database.prepare("update client_configs set expires_at = '2020-01-01T00:00:00.000Z' where user_id = 'late'").run();
  database.close();
  const client = await lab.client({ ovpnText, user: "late", password });
  await client.refused(60_000);
  const [, code = ""] = await client.sees(/AUTH_FAILED,.*\(code ([0-9A-Z]{6})\)/);
  await client.stop();
  expect(await lab.succeed(["explain", "--code", code])).toContain("(certificate-expired)");
  await expectExplained("late", "certificate-expired", /2020-01-01/);
});

test("an LDAP server that is down", async () => {
  await lab.succeed(["property", "set", "--user", "lena", "user_auth_type", "ldap"]);
  await signIn("lena", password);
  await expectExplained("lena", "method-unreachable", /ldap.*127\.0\.0\.1:1/);
});

test("a RADIUS secret that is not the server's", async () => {
  await lab.succeed(["property", "set", "--user", "rada", "user_auth_type", "radius"]);
  await signIn("rada", password);
  await expectExplained("rada", "method-unreachable", /radius.*127\.0\.0\.1:18120/);
});

test("a script that raises an exception", async () => {
  await lab.addUser("thrown", password);
  await signIn("thrown", password);
  await expectExplained("thrown", "script-failed", /line 4, in post_auth/);
});

test("a script that says no", async () => {
  await lab.addUser("barred", password);
  await signIn("barred", password);
  await expectExplained("barred", "script-denied", /barred by the list[\s\S]*looked at barred/);
});

test("a script that never stops asking", async () => {
  await lab.addUser("asked", password);
  await signIn("asked", password, "yes", "yes");
  await expectExplained("asked", "too-many-questions", /post-auth asked question 3 of one login/);
});

test("a hook's veto, with what it printed a command further", async () => {
  await lab.addUser("vetoed", password);
  const code = await refusedAtTheDoor("vetoed");
  await until("the refusal to be written down", async () =>
    (await lab.succeed(["explain", "--code", code])).includes("hook-refused"),
  );
  await expectExplained("vetoed", "hook-refused", /sallyport connection show/);
  const { connection } = await lab.json<{ connection: { id: string } }>(["explain", "--code", code]);
  expect(await lab.succeed(["connection", "show", connection.id])).toContain("no contract");
});

test("no free address", async () => {
  await lab.succeed(["group", "add", "tiny"]);
  await lab.succeed(["property", "set", "--group", "tiny", "group_subnets.0", "10.42.9.0/30"]);
  for (const user of ["first", "second"]) {
    await lab.addUser(user, password);
    await lab.succeed(["property", "set", "--user", user, "conn_group", "tiny"]);
  }
  const first = await lab.client({ ovpnText: await lab.issue("first"), user: "first", password });
  await first.connected();
  const code = await refusedAtTheDoor("second");
  await until("the refusal to be written down", async () =>
    (await lab.succeed(["explain", "--code", code])).includes("no-free-address"),
  );
  await expectExplained("second", "no-free-address", /./);
  await first.stop();
});

test("locked out", async () => {
  await lab.addUser("guessing", password);
  for (const guess of ["one", "two"]) await refusedAtTheDoor("guessing", guess);
  await refusedAtTheDoor("guessing");
  await expectExplained("guessing", "locked-out", /until/);
});

test("an authenticator whose clock is wrong", async () => {
  await lab.addUser("tick", password);
  await lab.succeed(["property", "set", "--user", "tick", "prop_google_auth", "true"]);
  const { secret } = await lab.json<{ secret: string }>(["totp", "enrol", "tick"]);
  const epoch = Math.floor(Date.now() / 1000) - 7 * 30;
  await signIn("tick", password, await generate({ secret, epoch, guardrails: createGuardrails() }));
  await expectExplained("tick", "totp-wrong", /behind this server's/);
});
