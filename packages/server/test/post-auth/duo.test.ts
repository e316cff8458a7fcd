import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import { createShippedScripts } from "../../src/post-auth/shipped.ts";
import { createScriptVersions } from "../../src/post-auth/versions.ts";
import type { ScriptHost, ScriptReturn } from "../../src/runner/runner.ts";
import { callOf } from "../runner/script-calls.ts";
import { type TypeScriptScripts, typeScriptScripts } from "../runner/typescript/typescript-scripts.ts";
import { until } from "../waiting.ts";
import { certificateFor, type DuoAnswer, type DuoServer, faultOf, keys, startDuo } from "./duo-server.ts";
import { bench, inputOf } from "./scripts-under-test.ts";

const directory = join(import.meta.dirname, "../../../sdk/scripts");
const text = await readFile(join(directory, "duo.ts"), "utf8");

let scripts: TypeScriptScripts;
let certificate: Awaited<ReturnType<typeof certificateFor>>;
let duo: DuoServer;
beforeAll(async () => {
  [scripts, certificate] = await Promise.all([typeScriptScripts(), certificateFor("localhost")]);
});
afterAll(() => scripts[Symbol.asyncDispose]());
beforeEach(async () => {
  duo = await startDuo({ certificate });
});
afterEach(() => duo.close());

const hostWith = (settings: object = {}): Promise<ScriptHost> =>
  scripts.host({ text, settings: { apiHost: duo.apiHost, caPem: duo.caPem, ...keys, ...settings } });

const needed = {
  response: {
    result: "auth",
    status_msg: "Account is active",
    devices: [{ device: "DPFZRS9FB0D46QFTM891", capabilities: ["auto", "push", "sms", "phone", "mobile_otp"] }],
  },
};
const yes = { response: { result: "allow", status: "allow", status_msg: "Success. Logging you in..." } };

/** Preauth says that a factor is needed, and to a factor this answer is given. */
function factorAnswers(answer: DuoAnswer): void {
  duo.answer = ({ path }) => (path === "/auth/v2/preauth" ? needed : answer);
}

const preauthAnswers = (answer: DuoAnswer) => {
  duo.answer = () => answer;
};

const asksAgain = (result: ScriptReturn, response: string) => {
  if (result.outcome !== "returned" || result.challenge === null) throw new Error(JSON.stringify(result));
  return callOf({ response, ...(result.crstate !== null && { crstate: result.crstate }) });
};

const allowed = { outcome: "returned", value: { status: 0 }, challenge: null };
const refused = (clientReason: string, reason: RegExp) => ({
  outcome: "returned",
  value: { status: 1, client_reason: clientReason, reason: expect.stringMatching(reason) },
  challenge: null,
});
const outage = (message: RegExp) => ({ outcome: "raised", message: expect.stringMatching(message) });

test("the server of these tests accepts the signature of Duo's documentation, and no other", () => {
  // The requests are signed here by hand: what the script signs is judged by the server, not by its own code.
  const date = new Date().toUTCString().replace("GMT", "-0000");
  const body = "realname=First%20Last&username=root";
  const request = (signed: string[], sentDate = date) => ({
    method: "POST",
    url: "/auth/v2/preauth",
    headers: {
      host: "api.example.org:443",
      date: sentDate,
      "content-type": "application/x-www-form-urlencoded",
      authorization: `Basic ${Buffer.from(
        `${keys.integrationKey}:${createHmac("sha512", keys.secretKey).update(signed.join("\n")).digest("hex")}`,
      ).toString("base64")}`,
    },
  });
  const right = [date, "POST", "api.example.org", "/auth/v2/preauth", body];
  expect(faultOf(request(right), body, "sha512")).toBeUndefined();
  expect(faultOf(request(right), "username=root&realname=First%20Last", "sha512")).toBeUndefined();
  const unsorted = [...right.slice(0, 4), "username=root&realname=First%20Last"];
  for (const wrong of [unsorted, right.with(1, "GET"), right.with(2, "API.example.org"), right.slice(1)]) {
    expect(faultOf(request(wrong), body, "sha512")).toBe("another signature");
  }
  expect(faultOf(request(right), body, "sha1")).toBe("another signature");
  expect(faultOf(request(right), body.replace("root", "toor"), "sha512")).toBe("another signature");
  const old = "Tue, 21 Aug 2012 17:29:18 -0000";
  expect(faultOf(request(right.with(0, old), old), body, "sha512")).toBe("another time");
  expect(faultOf(request(right, "now"), body, "sha512")).toBe("no RFC 2822 date");
});

test.each(["sha512", "sha1"])("requests signed with %s are accepted, whatever the name holds", async (digest) => {
  await duo.close();
  duo = await startDuo({ certificate, digest });
  preauthAnswers({ response: { result: "allow", status_msg: "Bypass" } });
  const host = await hostWith({ digest });
  const names = ["alice", "Zoë O'Neil (+*!~) &=%/\\", "ali ce@example.org"];
  for (const user of names) expect(await host.call(callOf({ authret: { user } }))).toMatchObject(allowed);
  expect(duo.rejected).toEqual([]);
  expect(duo.asked.map(({ path, parameters }) => [path, parameters])).toEqual(
    names.map((username) => ["/auth/v2/preauth", { username, ipaddr: "192.0.2.7" }]),
  );
});

test("another secret key is no way in, whatever the fail mode", async () => {
  preauthAnswers(yes);
  const host = await hostWith({ secretKey: "another-secret-key", failMode: "safe" });
  expect(await host.call(callOf())).toMatchObject(outage(/HTTP 401.*40103 Invalid signature/));
  expect(duo.rejected).toEqual(["another signature"]);
});

describe("who is asked", () => {
  test.each(["push", "phone", "auto", " Push "])("may answer %j", async (typed) => {
    factorAnswers(yes);
    const host = await hostWith();
    const question = await host.call(callOf());
    expect(question).toMatchObject({ challenge: { text: "Enter a passcode, or: push, phone", echo: true } });
    expect(await host.call(asksAgain(question, typed))).toMatchObject(allowed);
    expect(duo.asked.map(({ path }) => path)).toEqual(["/auth/v2/preauth", "/auth/v2/auth"]);
    const factor = typed.trim().toLowerCase();
    const sent = { username: "alice", ipaddr: "192.0.2.7", factor, device: "auto" };
    expect(duo.asked[1]?.parameters).toEqual(sent);
  });

  test("may type a passcode, right or wrong", async () => {
    duo.answer = ({ path, parameters }) => {
      if (path === "/auth/v2/preauth") return needed;
      if (parameters.factor === "passcode" && parameters.passcode === "123456") return yes;
      return { response: { result: "deny", status: "deny", status_msg: "Incorrect passcode. Please try again." } };
    };
    const host = await hostWith();
    const question = await host.call(callOf());
    expect(await host.call(asksAgain(question, "123456"))).toMatchObject(allowed);
    const wrong = refused("Incorrect passcode. Please try again.", /refuses alice by passcode \(deny\)/);
    expect(await host.call(asksAgain(question, "654321"))).toMatchObject(wrong);
    expect(await host.call(callOf({ authcred: { static_response: "123456" } }))).toMatchObject(allowed);
    expect(await host.call(callOf({ authcred: { static_response: "1" } }))).toMatchObject(wrong);
  });

  test.each(["", " ", "x".repeat(65), "12 34"])(
    "and types %j, which is nothing to ask Duo about, is refused",
    async (typed) => {
      factorAnswers(yes);
      const host = await hostWith();
      const question = await host.call(callOf());
      expect(await host.call(asksAgain(question, typed))).toMatchObject(
        refused("That was no passcode.", /no passcode/),
      );
      expect(duo.asked).toHaveLength(1);
    },
  );

  test("is offered what their devices can do", async () => {
    preauthAnswers({ response: { result: "auth", devices: [{ capabilities: ["phone"] }, null, {}] } });
    expect(await (await hostWith()).call(callOf())).toMatchObject({
      challenge: { text: "Enter a passcode, or: phone" },
    });
    preauthAnswers({ response: { result: "auth" } });
    expect(await (await hostWith({ autopush: true })).call(callOf())).toMatchObject({
      challenge: { text: "Enter a passcode" },
    });
  });

  test("cannot answer for somebody else", async () => {
    factorAnswers(yes);
    const host = await hostWith();
    const again = asksAgain(await host.call(callOf()), "push");
    const bob = { ...again, arguments: { ...again.arguments, authret: { status: 0, user: "bob", proplist: {} } } };
    expect(await host.call(bob)).toMatchObject({ value: { status: 1 } });
    expect(await host.call(callOf({ response: "push" }))).toMatchObject({ value: { status: 1 } });
    expect(duo.asked).toHaveLength(1);
  });
});

describe("a push at once", () => {
  const pushed = async () => (await hostWith({ autopush: true })).call(callOf());

  test("lets in whoever approves it", async () => {
    factorAnswers(yes);
    expect(await pushed()).toMatchObject(allowed);
    expect(duo.asked[1]?.parameters).toMatchObject({ factor: "push", device: "auto" });
  });

  test.each([
    ["deny", "Login request denied."],
    ["fraud", "Login request reported as fraudulent."],
    ["timeout", "Login timed out."],
  ])("that ends with %s refuses, in Duo's words", async (status, status_msg) => {
    factorAnswers({ response: { result: "deny", status, status_msg } });
    expect(await pushed()).toMatchObject(refused(status_msg, new RegExp(`by Push \\(${status}\\)`)));
  });

  test.each(["safe", "secure"])("that nobody answers before the deadline refuses (%s)", async (failMode) => {
    factorAnswers("silence");
    const result = await (await hostWith({ autopush: true, failMode })).call(callOf({ deadlineMs: 6_000 }));
    expect(result).toMatchObject(refused("Your sign-in was not confirmed in time. Please try again.", /deadlineMs/));
    await until("the request was given up", () => duo.waiting() === 0);
  });

  test.each<DuoAnswer>(["hang-up", { response: {} }, { status: 502, body: "bad gateway" }])(
    "lets nobody in for want of an answer: %j",
    async (answer) => {
      factorAnswers(answer);
      const result = await (await hostWith({ autopush: true, failMode: "safe" })).call(callOf());
      expect(result).toMatchObject(outage(/^Duo /));
    },
  );

  test("is not sent to whoever sent a passcode along", async () => {
    factorAnswers(yes);
    await (await hostWith({ autopush: true })).call(callOf({ authcred: { static_response: "123456" } }));
    expect(duo.asked[1]?.parameters).toMatchObject({ factor: "passcode", passcode: "123456" });
  });
});

describe("Duo's first answer", () => {
  test("may be that no factor is needed", async () => {
    preauthAnswers({ response: { result: "allow", status_msg: "Allowed by bypass" } });
    expect(await (await hostWith()).call(callOf())).toMatchObject({
      value: { status: 0, reason: "Duo lets alice in without a second factor: Allowed by bypass" },
    });
    expect(duo.asked).toHaveLength(1);
  });

  test("may be a refusal", async () => {
    preauthAnswers({ response: { result: "deny", status_msg: "Your account is disabled." } });
    expect(await (await hostWith({ failMode: "safe" })).call(callOf())).toMatchObject(
      refused("Your account is disabled.", /Duo refuses alice/),
    );
  });

  test("may be an address to enroll at, which the user reads and the log does not", async () => {
    const url = "https://api-1.duosecurity.com/portal?code=48bac5d9393fb2c2&akey=DIXX";
    preauthAnswers({
      response: { result: "enroll", status_msg: "Enroll an authentication device", enroll_portal_url: url },
    });
    expect(await (await hostWith({ failMode: "safe" })).call(callOf())).toMatchObject(
      refused(`Please enroll with Duo, then sign in again: ${url}`, /^Duo: alice is not enrolled$/),
    );
  });
});

describe("while Duo gives no answer that can be used", () => {
  const troubles: [string, () => void | Promise<void>, RegExp][] = [
    ["it is down", () => duo.close(), /cannot be reached: connect ECONNREFUSED/],
    ["it is slow", () => preauthAnswers("silence"), /cannot be reached: no answer in time/],
    ["it hangs up", () => preauthAnswers("hang-up"), /cannot be reached: socket hang up/],
    ["it fails", () => preauthAnswers({ status: 500, body: '{"stat":"FAIL","code":50000}' }), /HTTP 500/],
    ["it answers garbage", () => preauthAnswers({ status: 200, body: "<html>" }), /HTTP 200/],
    ["it answers nothing", () => preauthAnswers({ status: 200, body: "null" }), /HTTP 200/],
    ["it answers what means nothing", () => preauthAnswers({ response: { result: ["allow"] } }), /means nothing here/],
    ["it answers a flood", () => preauthAnswers({ status: 200, body: " ".repeat(1 << 20) }), /its answer is too long/],
  ];
  test.each(troubles)("because %s, the fail mode decides", async (_what, make, why) => {
    await make();
    const settings = { answerWithinMs: why.source.includes("in time") ? 1_000 : 15_000 };
    expect(await (await hostWith(settings)).call(callOf())).toMatchObject(outage(why));
    expect(await (await hostWith({ ...settings, failMode: "safe" })).call(callOf())).toMatchObject({
      value: { status: 0, reason: expect.stringMatching(why) },
      printed: expect.stringContaining("alice comes in without a second factor"),
    });
  });

  test("because its certificate is another's, or for another name, the fail mode decides", async () => {
    preauthAnswers({ response: { result: "allow" } });
    const other = await certificateFor("elsewhere.example");
    const trusting = async (caPem: string, failMode: string) => (await hostWith({ caPem, failMode })).call(callOf());
    expect(await trusting(other.certificate, "secure")).toMatchObject(outage(/certificate/));
    expect(await trusting("", "secure")).toMatchObject(outage(/certificate/));
    expect(await trusting(other.certificate, "safe")).toMatchObject(allowed);
    await duo.close();
    duo = await startDuo({ certificate: other });
    preauthAnswers({ response: { result: "allow" } });
    expect(await trusting(other.certificate, "secure")).toMatchObject(outage(/does not match certificate/));
    expect(duo.asked).toEqual([]);
  });

  test.each([400, 403, 429])("because it does not accept the request (%d), nobody comes in", async (status) => {
    preauthAnswers({ status, body: '{"stat":"FAIL","code":40002,"message":"Invalid request parameters"}' });
    const result = await (await hostWith({ failMode: "safe" })).call(callOf());
    expect(result).toMatchObject(outage(/does not accept the request .*40002 Invalid request parameters/));
  });
});

describe("who is not asked", () => {
  test.each(["session", "autologin"])("comes in by %s", async (auth_method) => {
    expect(await (await hostWith()).call(callOf({ info: { auth_method } }))).toMatchObject(allowed);
    expect(duo.asked).toEqual([]);
  });

  test("renews the keys of a tunnel for which they passed, and no other's", async () => {
    factorAnswers(yes);
    const host = await hostWith({ autopush: true });
    const first = await host.call(callOf());
    const state = first.outcome === "returned" ? (first.state ?? "") : "";
    const renewal = { attributes: { reauth: true }, state };
    expect(await host.call(callOf(renewal))).toMatchObject(allowed);
    expect(duo.asked).toHaveLength(2);
    factorAnswers({ response: { result: "deny", status: "deny", status_msg: "No." } });
    expect(await host.call(callOf({ ...renewal, authret: { user: "bob" } }))).toMatchObject({ value: { status: 1 } });
    expect(await host.call(callOf({ state }))).toMatchObject({ value: { status: 1 } });
    expect(await host.call(callOf({ attributes: { reauth: true } }))).toMatchObject({ value: { status: 1 } });
  });
});

test("it is activated with its own cases, asks and decides as one of the live scripts, and its outage is one", async () => {
  factorAnswers(yes);
  await using under = await bench();
  const { store, settings, loaders, gate } = under;
  const versions = createScriptVersions({
    scripts: store,
    settings,
    loaders,
    deadlineMs: () => 20_000,
    applied: gate.reload,
  });
  const shipped = createShippedScripts({ directory, versions });
  const set = JSON.stringify({ apiHost: duo.apiHost, caPem: duo.caPem, ...keys });
  await shipped.add({ name: "duo", settings: set, by: "root" });
  await versions.activate({ name: "duo" });
  expect(duo.asked).toEqual([]);
  const { outcome, question } = await gate.decide(inputOf());
  expect({ outcome, text: question?.text }).toEqual({
    outcome: "challenge",
    text: "Enter a passcode, or: push, phone",
  });
  const answer = { resume: question?.resume, response: new Secret("push") };
  expect(await gate.decide(inputOf(), { answer })).toMatchObject({ outcome: "allow" });
  await duo.close();
  expect(await gate.decide(inputOf())).toMatchObject({ outcome: "deny", code: "script-failed" });
});

test.each([
  [{}, "CORP\\alice", "CORP\\alice"],
  [{ userName: "{short}" }, "CORP\\alice", "alice"],
  [{ userName: "{short}@duo.example" }, "alice@corp.example", "alice@duo.example"],
  [{ userNameProperty: "pvt_duo_name" }, "alice", "a.liddell"],
  [{ userNameProperty: "pvt_none" }, "alice", "alice"],
])("with %j, %s is asked about as %s", async (settings, user, username) => {
  preauthAnswers({ response: { result: "allow" } });
  const host = await hostWith(settings);
  await host.call(callOf({ authret: { user, proplist: { pvt_duo_name: "a.liddell" } } }));
  expect(duo.asked[0]?.parameters).toMatchObject({ username });
});
