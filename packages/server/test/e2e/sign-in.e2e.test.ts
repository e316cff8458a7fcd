import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { askedClient, type Person } from "./lab/asked-client.ts";
import type { ConnectionRow } from "./lab/ledger.ts";
import { type Lab, openLab, until } from "./lab.ts";

let lab: Lab;
const password = "correct horse";

beforeAll(async () => {
  const office = {
    id: "office",
    displayName: "Office",
    openvpn: { managed: { listen: ["udp/1194"], renegotiateSeconds: 10 } },
    ranges: { ipv4: "10.42.0.0/20", ipv6: "fd42:1::/64" },
  };
  lab = await openLab({ config: { profiles: [office] } });
  await lab.daemon.start();
  for (const user of ["alice", "bob"]) await lab.addUser(user, password);
});

afterEach(async () => {
  for (const { id } of await lab.json<{ id: string }[]>(["post-auth", "list"])) {
    await lab.succeed(["post-auth", "remove", id]);
  }
});

afterAll(() => lab?.[Symbol.asyncDispose]());

async function activate(script: string): Promise<void> {
  const file = join(lab.directory, "script.py");
  await writeFile(file, script);
  await lab.succeed(["post-auth", "add", "asking", file]);
  await lab.succeed(["post-auth", "activate", "asking"]);
}

const person = (...answers: string[]): Person => ({ user: "alice", password, answers });
const rows = (user: string) => lab.json<ConnectionRow[]>(["connection", "log", "--user", user]);

/** Asks for a PIN until it is 42, three times at most. */
const askingScript = `
from pyovpn.plugin import *
SYNCHRONOUS = False

def post_auth_cr(authcred, attributes, authret, info, crstate):
    if info.get("auth_method") == "session":
        return authret
    if crstate.get("round"):
        if crstate.response() == "42":
            crstate.expire()
            return authret
        if crstate["round"] == 3:
            authret["status"] = FAIL
            authret["client_reason"] = "That was the third wrong PIN."
            return authret
    crstate["round"] = crstate.get("round", 0) + 1
    crstate.challenge_post_auth(authret, "PIN, try %d" % crstate["round"], echo=False)
    return authret
`;

describe("a challenge", () => {
  test("put together with the password is answered with it, and echoed only where the script says so", async () => {
    await activate(`
from pyovpn.plugin import *
STATIC_CHALLENGE = "Your token"
STATIC_CHALLENGE_ECHO = True

def post_auth(authcred, attributes, authret, info):
    if info.get("auth_method") != "session" and authcred.get("static_response") != "778899":
        authret["status"] = FAIL
        authret["client_reason"] = "Wrong token."
    return authret
`);
    const ovpnText = await lab.issue("alice");
    expect(ovpnText).toContain('static-challenge "Your token" 1');
    const right = await askedClient(lab, { ovpnText, person: person("778899") });
    await right.connected();
    expect(right.asked()).toEqual([{ kind: "static", text: "Your token", echo: true }]);
    await right.stop();
    const wrong = await askedClient(lab, { ovpnText, person: person("000000") });
    expect(await wrong.refused()).toContain("Wrong token.");
    await wrong.stop();
  });

  test.each([
    ["put after the password", false, "dynamic"],
    ["put on the tunnel", true, "text"],
  ] as const)("%s is answered in rounds, and a wrong answer asks again", async (_how, canBeAsked, kind) => {
    await activate(askingScript);
    const client = await askedClient(lab, {
      ovpnText: await lab.issue("alice"),
      person: person("1", "42"),
      canBeAsked,
    });
    await client.connected();
    expect(client.asked().filter((one) => one.kind !== "credentials")).toEqual([
      { kind, text: "PIN, try 1", echo: false },
      { kind, text: "PIN, try 2", echo: false },
    ]);
    await client.stop();
  });

  test.each([false, true])(
    "denies after the third wrong answer, with the script's words (on the tunnel: %s)",
    async (canBeAsked) => {
      await activate(askingScript);
      const answers = person("1", "2", "3");
      const client = await askedClient(lab, { ovpnText: await lab.issue("alice"), person: answers, canBeAsked });
      await client.sees(/AUTH_FAILED,That was the third wrong PIN\./, 60_000);
      // Of an earlier test's client the server may still be about to hear that it left.
      expect(client.timesConnected()).toBe(0);
      const open = () => lab.json<ConnectionRow[]>(["connection", "list", "--user", "alice"]);
      await until("nobody to be in", async () => (await open()).length === 0);
      await client.stop();
    },
  );

  test("is answered after a restart of the daemon", async () => {
    await activate(askingScript);
    const answers = person();
    const client = await askedClient(lab, { ovpnText: await lab.issue("alice"), person: answers });
    await until("the question", () => client.asked().some((one) => one.kind === "dynamic"));
    await lab.daemon.kill();
    // An answer may be on its way when the client begins anew.
    answers.answers.push(...new Array<string>(9).fill("42"));
    await lab.daemon.start();
    client.reconnect();
    await client.connected(60_000);
    await client.stop();
  });
});

describe("a session", () => {
  test("goes on over a reconnect and renewed keys without a question", async () => {
    await activate(askingScript);
    const client = await askedClient(lab, {
      ovpnText: await lab.issue("alice"),
      person: person("42"),
      canBeAsked: true,
    });
    await client.connected();
    const asked = client.asked().length;
    client.reconnect();
    await until("the second connection", () => client.timesConnected() === 2, { deadlineMs: 60_000 });
    const reauths = async () =>
      (
        await lab.json<{ kind: string; outcome: string; authMethod: string }[]>(["attempt", "list", "--user", "alice"])
      ).filter(({ kind }) => kind === "reauth");
    const [renewed] = await until(
      "a renewed key",
      async () => {
        const all = await reauths();
        return all.length > 0 && all;
      },
      { deadlineMs: 60_000 },
    );
    expect(renewed).toMatchObject({ outcome: "allow", authMethod: "session" });
    // While a key is renewed, a tunnel this young drops packets.
    await until("packets to pass", () => client.ping("10.42.0.1"), { otherwise: client.lastPing });
    expect(client.asked()).toHaveLength(asked);
    await client.stop();
  });

  test("ends at prop_expire, and the token is refused afterwards: the person is asked again", async () => {
    // Looked at every 5 s: before the first key is renewed after 10 s, which would be refused in another way.
    await lab.succeed(["property", "set", "--user", "alice", "prop_expire", "3"]);
    const client = await askedClient(lab, { ovpnText: await lab.issue("alice"), person: person() });
    await client.connected();
    await until("the end", async () => (await rows("alice")).some((row) => row.endReason === "expired"), {
      deadlineMs: 60_000,
    });
    await until("another connection", () => client.timesConnected() > 1, { deadlineMs: 60_000 });
    expect(client.asked().filter((one) => one.kind === "credentials").length).toBeGreaterThan(1);
    await lab.succeed(["property", "delete", "--user", "alice", "prop_expire"]);
    await client.stop();
  });
});

describe("other client configs", () => {
  test("an auto-login one connects with nobody there, where its user may", async () => {
    const issue = ["client-config", "issue", "--user", "alice", "--profile", "office", "--kind", "auto-login"];
    const ovpnText = await lab.succeed(issue);
    const refused = await lab.client({ ovpnText });
    expect(await refused.refused()).toContain("may not connect without a sign-in");
    await refused.stop();
    await lab.succeed(["property", "set", "--user", "alice", "prop_autologin", "true"]);
    const client = await lab.client({ ovpnText });
    await client.connected();
    await client.stop();
  });

  test("a server-locked one is used by two users at once", async () => {
    const ovpnText = await lab.succeed(["client-config", "issue", "--profile", "office", "--kind", "server-locked"]);
    const [alice, bob] = await Promise.all(["alice", "bob"].map((user) => lab.client({ ovpnText, user, password })));
    await Promise.all([alice?.connected(), bob?.connected()]);
    expect(await alice?.addresses()).not.toEqual(await bob?.addresses());
    await Promise.all([alice?.stop(), bob?.stop()]);
  });
});
