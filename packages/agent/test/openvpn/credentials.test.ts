import { expect, test } from "vitest";
import { Credentials } from "../../src/openvpn/credentials.ts";
import { meaningOf } from "../../src/openvpn/notices.ts";
import type { Answers } from "../../src/tunnel/tunnel.ts";

function person(lines: string[], mayAskAgain = true): Answers & { asked: string[] } {
  const asked: string[] = [];
  const next = async (what: string) => {
    asked.push(what);
    return lines.shift() ?? "";
  };
  return {
    ...{ asked, mayAskAgain },
    user: () => next("user"),
    password: () => next("password"),
    answer: ({ text, echo }) => next(`${text}${echo ? " (shown)" : ""}`),
  };
}

/** As openvpn 2.6.14 says them on its management socket. */
const notices: [line: string, meaning: object | undefined][] = [
  ["PASSWORD:Need 'Auth' username/password", { kind: "needs-credentials", challenge: undefined }],
  [
    "PASSWORD:Need 'Auth' username/password SC:1,Your PIN, please",
    { kind: "needs-credentials", challenge: { text: "Your PIN, please", echo: true } },
  ],
  ["PASSWORD:Need 'Private Key' password", { kind: "needs-key-password" }],
  ["PASSWORD:Verification Failed: 'Auth'", { kind: "refused", reason: "" }],
  ["PASSWORD:Verification Failed: 'Auth' ['No, it's not']", { kind: "refused", reason: "No, it's not" }],
  [
    "PASSWORD:Verification Failed: 'Auth' ['CRV1:R,E:st-1:Ym9i:What: now?']",
    { kind: "dynamic-challenge", stateId: "st-1", user: "bob", text: "What: now?", echo: true, needed: true },
  ],
  ["INFOMSG:CR_TEXT:R:Push: 1:2", { kind: "text-challenge", text: "Push: 1:2", echo: false, needed: true }],
  ["INFOMSG:WEB_AUTH::https://x/y:z", { kind: "web", url: "https://x/y:z" }],
  ["INFOMSG:X_WAKE:", undefined],
  [
    "STATE:1,CONNECTED,SUCCESS,10.42.0.2,198.18.0.1,1194,,,fd42:1::2",
    {
      kind: "state",
      name: "CONNECTED",
      detail: "SUCCESS",
      ipFour: "10.42.0.2",
      remote: "198.18.0.1",
      ipSix: "fd42:1::2",
    },
  ],
  ["NOTIFY:info,server-pushed-halt,Bye, now", { kind: "told", what: "server-pushed-halt", reason: "Bye, now" }],
];

test.each(notices)("%s", (line, meaning) => {
  const [source = "", ...text] = line.split(":");
  expect(meaningOf({ source, text: text.join(":") })).toEqual(meaning);
});

test("name and password are quoted as OpenVPN reads them, and asked once", async () => {
  const asker = person(["al ice", 'p"a\\ss']);
  const credentials = new Credentials(asker);
  const commands = ['username "Auth" "al ice"', 'password "Auth" "p\\"a\\\\ss"'];
  expect(await credentials.answer(undefined)).toEqual(commands);
  credentials.accepted();
  expect(await credentials.answer(undefined)).toEqual(commands);
  expect(asker.asked).toEqual(["user", "password"]);
});

test("a line end in an answer is no command of its own", async () => {
  const credentials = new Credentials(person(["alice", "x\nsignal SIGTERM"]));
  await expect(credentials.answer(undefined)).rejects.toThrow(/line end/);
});

test("static and dynamic challenges are answered in their forms", async () => {
  const credentials = new Credentials(person(["alice", "pw", "42", "43"]));
  expect(await credentials.answer({ text: "PIN", echo: false })).toEqual([
    'username "Auth" alice',
    'password "Auth" SCRV1:cHc=:NDI=',
  ]);
  credentials.challenged({ stateId: "s1", user: "alice", text: "Again", echo: true, needed: true });
  expect(await credentials.answer(undefined)).toEqual(['username "Auth" alice', 'password "Auth" CRV1::s1::43']);
});

test("a wrong password is asked again three times on a terminal, and never of a pipe", async () => {
  const credentials = new Credentials(person(["alice", "1", "2", "3"]));
  const kinds: string[] = [];
  for (let i = 0; i < 3; i += 1) {
    await credentials.answer(undefined);
    kinds.push(credentials.refused("Wrong user name or password. (code ABC123)").kind);
  }
  expect(kinds).toEqual(["try-again", "try-again", "end"]);
  const piped = new Credentials(person(["alice", "1"], false));
  await piped.answer(undefined);
  expect(piped.refused("")).toMatchObject({ kind: "end", failure: { kind: "wrong-credentials" } });
});

test("a refusal with a reason ends it, and a session that ran out does not cost the password", async () => {
  const asker = person(["alice", "pw"]);
  const credentials = new Credentials(asker);
  await credentials.answer(undefined);
  credentials.accepted();
  expect(credentials.refused("").kind).toBe("session-over");
  await credentials.answer(undefined);
  expect(asker.asked).toEqual(["user", "password"]);
  expect(credentials.refused("Not after hours. (code ABC123)")).toMatchObject({
    kind: "end",
    failure: {
      kind: "refused",
      message: "The server refused the connection: Not after hours.",
      next: expect.stringContaining("ABC123"),
    },
  });
  expect(credentials.refused("TEMP[backoff 5]:Please wait.")).toEqual({ kind: "come-back", message: "Please wait." });
});
