import { createGuardrails, generate } from "otplib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { askedClient, type Person } from "./lab/asked-client.ts";
import { type Lab, openLab, until } from "./lab.ts";

const password = "correct horse";
let lab: Lab;

beforeAll(async () => {
  lab = await openLab();
  await lab.daemon.start();
  await lab.succeed(["property", "set", "--default", "prop_google_auth", "true"]);
});

afterAll(() => lab?.[Symbol.asyncDispose]());

/** A user with an authenticator, and its code of now or of `steps` half minutes later. */
async function enrolled(name: string) {
  await lab.addUser(name, password);
  const { secret } = await lab.json<{ secret: string }>(["totp", "enrol", name]);
  const code = async (steps = 0) =>
    await generate({ secret, epoch: Math.floor(Date.now() / 1000) + steps * 30, guardrails: createGuardrails() });
  const person = (...answers: string[]): Person => ({ user: name, password, answers });
  return { code, person, ovpnText: await lab.issue(name) };
}

const withStaticChallenge = ["--static-challenge", "Enter Authenticator Code", "1"];
/** Whoever is refused does not try again by themselves while the test looks. */
const once = [...withStaticChallenge, "--auth-retry", "none"];

type Attempt = { id: string; outcome: string; code: string | null };
/** What became of the user's sign-ins, the newest first. */
const attempts = async (user: string) => await lab.json<Attempt[]>(["attempt", "list", "--user", user]);
const detailOf = async (id: string) => {
  const { trace } = await lab.json<{ trace: { step: string; detail: string }[] }>(["attempt", "show", id]);
  return trace.find(({ step }) => step === "check totp")?.detail;
};

test("a code beside the password lets in once; the same one again is refused, and so is a wrong one", async () => {
  const { code, person, ovpnText } = await enrolled("alice");
  const first = await code(1);
  const client = await askedClient(lab, { ovpnText, person: person(first), extra: withStaticChallenge });
  await client.connected();
  expect(client.asked()).toEqual([{ kind: "static", text: "Enter Authenticator Code", echo: true }]);
  expect(await client.ping("10.42.0.1")).toBe(true);
  await client.stop();

  const again = await askedClient(lab, { ovpnText, person: person(first), extra: once });
  expect(await again.refused()).toContain("used already");
  await again.stop();
  const wrong = await askedClient(lab, { ovpnText, person: person("no"), extra: once });
  expect(await wrong.refused()).toContain("The authenticator code is wrong");
  await wrong.stop();
  const late = await askedClient(lab, { ovpnText, person: person(await code(-7)), extra: once });
  await late.refused();
  await late.stop();
  const found = await attempts("alice");
  expect(found.map((one) => one.code)).toEqual(["totp-wrong", "totp-wrong", "totp-used", null]);
  expect(await detailOf(found[0]?.id ?? "")).toContain("behind this server's");
});

test.each([
  ["a client that comes back with the answer", false, "dynamic"],
  ["a client that can be asked on its tunnel", true, "text"],
] as const)(
  "%s is asked when the password was right, and a used code does not let it in again",
  async (_who, canBeAsked, kind) => {
    const name = `asked-${kind}`;
    const { code, person, ovpnText } = await enrolled(name);
    const used = await code(1);
    const client = await askedClient(lab, { ovpnText, person: person(used), canBeAsked });
    await client.connected();
    expect(client.asked().filter((one) => one.kind !== "credentials")).toEqual([
      { kind, text: "Enter Authenticator Code", echo: true },
    ]);
    await client.stop();
    const again = await askedClient(lab, { ovpnText, person: person(used), canBeAsked });
    await again.sees(/AUTH_FAILED,This authenticator code was used already/, 60_000);
    await again.stop();
    const wrongPassword = await askedClient(lab, { ovpnText, person: { ...person(), password: "wrong" }, canBeAsked });
    expect(await wrongPassword.refused()).toContain("Wrong user name or password");
    expect(wrongPassword.asked().filter((one) => one.kind !== "credentials")).toEqual([]);
    await wrongPassword.stop();
  },
);

test("a session goes on without another code", async () => {
  const { code, person, ovpnText } = await enrolled("traveller");
  const client = await askedClient(lab, { ovpnText, person: person(await code()), extra: withStaticChallenge });
  await client.connected();
  client.reconnect();
  await until("the second connect", () => client.timesConnected() === 2, { otherwise: client.log });
  expect((await attempts("traveller")).map(({ outcome }) => outcome)).toEqual(["allow", "allow"]);
  await client.stop();
});

test("who has no authenticator is told so, and so is the administrator", async () => {
  await lab.addUser("nophone", password);
  const client = await lab.client({ ovpnText: await lab.issue("nophone"), user: "nophone", password });
  expect(await client.refused()).toContain("An authenticator app must be set up");
  expect(await lab.succeed(["explain", "--user", "nophone", "--last"])).toContain("sallyport totp enrol");
  await client.stop();
});

test("guessing codes locks the user out", async () => {
  const { code, person, ovpnText } = await enrolled("guessed");
  for (let tries = 0; tries < 20 && (await attempts("guessed"))[0]?.code !== "locked-out"; tries += 1) {
    const client = await askedClient(lab, { ovpnText, person: person("000000"), extra: withStaticChallenge });
    await client.refused();
    await client.stop();
  }
  const client = await askedClient(lab, { ovpnText, person: person(await code()), extra: withStaticChallenge });
  expect(await client.refused()).toContain("Too many wrong attempts");
  await client.stop();
});
