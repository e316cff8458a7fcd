import { afterAll, beforeAll, expect, test } from "vitest";
import { challengedUser, startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startTestDaemon();
  await daemon.json(["user", "add", "alice", "--password-stdin"], "hunter2\n");
  await daemon.json(["property", "set", "--user", "alice", "pvt_note", 'it\'s "x"\n\u0007']);
  await daemon.json(["property", "set", "--user", "alice", "pvt_password_digest", "sesame"]);
  await daemon.json(["user", "add", challengedUser, "--password-stdin"], "hunter2\n");
});

afterAll(async () => await daemon.close());

test("a password on the command line, as Access Server's tool takes it, leaves standard input to the answers", async () => {
  const { status, stdout } = await daemon.run(
    ["authcli", "--user", challengedUser, "--pass", "hunter2"],
    "Rex\n4711\n",
  );
  expect(status).toBe(0);
  expect(stdout).toContain("reason : local auth succeeded with 4711\n");
});

test("success is printed exactly as Access Server's tool prints it", async () => {
  const { status, stdout, stderr } = await daemon.run(["authcli", "-u", "alice"], "hunter2\n");
  expect(stdout).toBe(
    "API METHOD: authenticate\n" +
      "  status : SUCCEED\n" +
      "  reason : local auth succeeded\n" +
      "  user : alice\n" +
      "  proplist : {'pvt_note': 'it\\'s \"x\"\\n\\x07', 'pvt_password_digest': '[secret]'}\n",
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test("a refusal prints FAIL, ends with 1 and says what to do; nothing of the password is printed", async () => {
  const { status, stdout, stderr } = await daemon.run(["authcli", "-u", "alice"], "swordfish\n");
  expect(stdout).toBe(
    "API METHOD: authenticate\n  status : FAIL\n  reason : local auth failed: wrong password\n  user : alice\n",
  );
  expect(status).toBe(1);
  expect(stderr).toContain("sallyport: wrong-credentials: local auth failed: wrong password\n  Next: ");
  expect(`${stdout}${stderr}`).not.toContain("swordfish");
});

test("questions are answered by a line each on standard input, and shown on standard error", async () => {
  const { status, stdout, stderr } = await daemon.run(["authcli", "--user", challengedUser], "hunter2\nRex\n1234");
  expect(stdout).toContain("  reason : local auth succeeded with 1234\n");
  expect(stderr).toBe("Your pet's name?\nNot Rex. Your PIN?\n");
  expect(status).toBe(0);
});

test("an answer that does not come is a fault, not a hanging", async () => {
  const { status, stdout, stderr } = await daemon.run(["authcli", "-u", challengedUser], "hunter2\nRex\n");
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toContain("standard input ended where the answer to a challenge was to be read");
});

test("as JSON, an object with the same words", async () => {
  expect(await daemon.json(["authcli", "-u", "alice"], "hunter2")).toEqual({
    status: "SUCCEED",
    reason: "local auth succeeded",
    user: "alice",
    proplist: { pvt_note: 'it\'s "x"\n\u0007', pvt_password_digest: "[secret]" },
    auth_method: "local",
    attemptId: expect.any(String),
  });
  const refused = await daemon.run(["--json", "authcli", "-u", "alice"], "x");
  expect(refused.status).toBe(1);
  expect(JSON.parse(refused.stdout)).toMatchObject({ status: "FAIL", code: "wrong-credentials", user: "alice" });
});

test("who signs in must be said", async () => {
  expect(await daemon.run(["authcli"])).toMatchObject({ status: 2, stdout: "" });
});
