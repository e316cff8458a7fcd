import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Secret } from "../../src/core/secret.ts";
import { type Bench, bench, fixture, inputOf, scriptOf } from "./scripts-under-test.ts";

/** COMPATIBILITY, section 1: what Access Server's scripts rely on, through the gate and real Python. */
describe("a script written for Access Server", () => {
  let under: Bench;
  const decide = (act: string, parts: Parameters<typeof inputOf>[0] = {}) =>
    under.gate.decide(inputOf({ ...parts, act }));
  beforeAll(async () => {
    under = await bench();
    await under.live("contract", await fixture("contract"));
  });
  afterAll(() => under[Symbol.asyncDispose]());

  test("that returns authret as it came allows, and changes nothing", async () => {
    const proplist = { pvt_hw_addr: "00:01:02:ab:cd:ef" };
    expect(await decide("nothing", { authret: { proplist } })).toMatchObject({
      outcome: "allow",
      code: null,
      user: "alice",
      reason: "local auth succeeded",
      clientReason: null,
      properties: proplist,
      save: {},
      warnings: [],
    });
  });

  test("may set authret's keys as attributes", async () => {
    expect(await decide("attributes")).toMatchObject({
      outcome: "allow",
      user: "alice.smith",
      clientReason: "welcome",
      properties: { conn_group: "eng" },
    });
  });

  test("may replace the proplist whole", async () => {
    const verdict = await decide("whole proplist", { authret: { proplist: { pvt_a: "1" } } });
    expect(verdict.properties).toEqual({ conn_group: "eng" });
  });

  test("may return what is to be saved beside authret", async () => {
    expect(await decide("save")).toMatchObject({ outcome: "allow", save: { pvt_hw_addr: "00:01:02:ab:cd:ef" } });
  });

  test("denies with a reason for the log and one for the person, and nothing is saved", async () => {
    expect(await decide("fail")).toMatchObject({
      outcome: "deny",
      code: "script-denied",
      reason: "no hardware address",
      clientReason: "This device is not known.",
      save: {},
    });
  });

  test("that denies without a reason is named in the log", async () => {
    expect(await decide("fail silently")).toMatchObject({
      outcome: "deny",
      code: "script-denied",
      reason: "denied by the post-auth script contract",
      clientReason: null,
    });
  });

  test.each(["True", "False", "0.0", "'0'", "None", "2"])(
    "with a status that is not one of the integers denies: %s",
    async (act) => {
      expect(await decide(act)).toMatchObject({
        outcome: "deny",
        code: "script-bad-result",
        reason: expect.stringContaining("it must be one of the integers SUCCEED (0) and FAIL (1)"),
        save: {},
      });
    },
  );

  test.each([
    ["list group", "authret['proplist']['conn_group'] is a list"],
    ["int property", "authret['proplist']['pvt_count'] is the number 3"],
    ["bool property", "authret['proplist']['prop_superuser'] is True"],
    ["10 MB", "larger than"],
    ["forgot to return", "the script returned nothing (None) where authret was expected"],
  ])("that returns something else denies and says what: %s", async (act, reason) => {
    expect(await decide(act)).toMatchObject({
      outcome: "deny",
      code: "script-bad-result",
      reason: expect.stringContaining(reason),
    });
  });

  test("that puts conn_group at the top is warned, and the group ignored", async () => {
    const verdict = await decide("top-level group");
    expect(verdict).toMatchObject({ outcome: "allow", properties: {} });
    expect(verdict.warnings).toEqual(["authret['conn_group'] is ignored; it belongs in authret['proplist']"]);
  });

  test("that raises denies with Python's message, and keeps traceback and output", async () => {
    const verdict = await decide("exception");
    expect(verdict).toMatchObject({
      outcome: "deny",
      code: "script-failed",
      reason: "the directory is down",
      clientReason: null,
      printed: "about to\n",
    });
    expect(verdict.traceback).toMatch(/File "contract", line 49, in explode/);
  });
});

test("a script gets the password only where it sets RETAIN_PASSWORD, and what it prints of it is masked", async () => {
  await using under = await bench();
  const authcred = { password: new Secret("hunter22"), static_response: new Secret("424242") };
  const body = "print(sorted(authcred))\nprint(authcred.get('password'), authcred['static_response'])";
  await under.live("script", scriptOf(body));
  expect((await under.gate.decide(inputOf({ authcred }))).printed).toBe(
    "['client_ip_addr', 'static_response', 'username']\nNone [secret]\n",
  );
  await under.live(
    "script",
    scriptOf(
      `${body}\nassert authcred['password'] == 'hunter22'\nraise ValueError(authcred['password'])`,
      "RETAIN_PASSWORD = True",
    ),
  );
  const verdict = await under.gate.decide(inputOf({ authcred }));
  expect(verdict.printed).toContain("[secret] [secret]\n");
  expect(verdict.reason).toBe("[secret]");
  expect(JSON.stringify(verdict)).not.toMatch(/hunter22|424242/);
});

test("an authenticator's secret among the properties is masked in what a script prints and tells the person", async () => {
  await using under = await bench();
  const authret = { proplist: { pvt_google_auth_secret: "JBSWY3DPEHPK3PXP" } };
  await under.live("script", scriptOf("print(authret)\nauthret['client_reason'] = str(authret['proplist'])"));
  const { printed, clientReason } = await under.gate.decide(inputOf({ authret }));
  expect(printed).toContain("'pvt_google_auth_secret': '[secret]'");
  expect(clientReason).not.toContain("JBSWY3DPEHPK3PXP");
});

test("the answer to a challenge comes back to the script that asked, and its state with it", async () => {
  await using under = await bench();
  await under.live(
    "first",
    scriptOf("print('first')\nauthret['proplist']['pvt_first'] = 'yes'\nauthret['note'] = 'from first'"),
  );
  await under.live(
    "second",
    [
      "def post_auth_cr(authcred, attributes, authret, info, crstate):",
      "    assert authret['note'] == 'from first'",
      "    if 'code' not in crstate:",
      "        crstate['code'] = ('42', 'x')",
      "        crstate.challenge_post_auth(authret, 'Code?', echo=True)",
      "    elif crstate.response() == crstate['code'][0]:",
      "        authret.proplist['pvt_second'] = 'yes'",
      "    else:",
      "        authret.status = 1",
      "        authret.client_reason = 'Wrong code.'",
      "    return authret",
    ].join("\n"),
  );
  const asked = await under.gate.decide(inputOf());
  expect(asked).toMatchObject({ outcome: "challenge", question: { text: "Code?", echo: true } });
  const resume = JSON.parse(JSON.stringify(asked.question?.resume));
  const right = await under.gate.decide(inputOf(), { answer: { resume, response: new Secret("42") } });
  // The first script has decided; it is not asked again.
  expect(right).toMatchObject({ outcome: "allow", properties: { pvt_first: "yes", pvt_second: "yes" }, printed: "" });
  const wrong = await under.gate.decide(inputOf(), { answer: { resume, response: new Secret("41") } });
  expect(wrong).toMatchObject({ outcome: "deny", code: "script-denied", clientReason: "Wrong code." });
  await under.store.remove("second");
  await under.gate.reload();
  const gone = await under.gate.decide(inputOf(), { answer: { resume, response: new Secret("42") } });
  expect(gone).toMatchObject({
    outcome: "deny",
    reason: expect.stringContaining("second that asked is not active any more"),
  });
});

test("authret.state is handed back at reauthentication, to each script its own", async () => {
  await using under = await bench();
  const counting = (by: number) => scriptOf(`authret.state = (authret.state or 0) + ${by}\nprint(authret.state)`);
  await under.live("one", counting(1));
  await under.live("ten", counting(10));
  const first = await under.gate.decide(inputOf());
  expect(first.printed).toBe("[one]\n1\n[ten]\n10\n");
  const again = await under.gate.decide(inputOf({ attributes: { reauth: true } }), { states: first.states });
  expect(again.printed).toBe("[one]\n2\n[ten]\n20\n");
});

test("a script searches the server's directory", async () => {
  await using under = await bench();
  await under.live(
    "ldap",
    scriptOf(
      "with info['ldap_context'] as l:\n    l.search(info['search_base'], '(uid=%s)' % authcred['username'], attributes=['memberOf'])\n" +
        "    if 'cn=eng' in l.entries[0].memberOf.value: authret['proplist']['conn_group'] = 'eng'",
    ),
  );
  const search = async () => [{ dn: "uid=alice", attributes: { memberOf: ["cn=all", "cn=eng"] } }];
  const info = { auth_method: "ldap", user_dn: "uid=alice", search_base: "dc=example" };
  const verdict = await under.gate.decide(inputOf({ info, directory: { search, uname_attr: "uid" } }));
  expect(verdict).toMatchObject({ outcome: "allow", properties: { conn_group: "eng" } });
});

test("RADIUS attributes come by number", async () => {
  await using under = await bench();
  await under.live("radius", scriptOf("authret['proplist']['conn_group'] = info['radius_reply'][25][0]"));
  const verdict = await under.gate.decide(
    inputOf({ info: { auth_method: "radius", radius_reply: { 25: ["staff"] } } }),
  );
  expect(verdict.properties).toEqual({ conn_group: "staff" });
});
