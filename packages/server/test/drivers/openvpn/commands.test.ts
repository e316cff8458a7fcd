import assert from "node:assert/strict";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SallyportError } from "../../../src/core/errors.ts";
import type { Admission, Question } from "../../../src/drivers/driver.ts";
import {
  admitClient,
  type Command,
  denyClient,
  encodeCommands,
  killClient,
  plainCommand,
  questionAsRefusal,
  questionAsText,
  wakeUp,
} from "../../../src/drivers/openvpn/commands.ts";
import { hostileString, hostileText } from "./hostile.ts";
import { execute } from "./openvpn-model.ts";

const key = { cid: 4_294_967_295, kid: 4_294_967_295 };
const wake = ["client-pending-auth", `${key.cid}`, `${key.kid}`, "X_WAKE:", "60"];

/** What OpenVPN would execute, with other commands before and behind in the same stream, at any alignment. */
function executedAmong(commands: readonly Command[], alignment: number) {
  const filler = (bytes: number) => Buffer.from(`${"pid".padEnd(bytes - 1)}\n`);
  const bytes = encodeCommands([...commands, wakeUp(key)]);
  const executed = execute(Buffer.concat([filler(4 + (alignment % 256)), bytes, filler(260)]));
  assert.deepEqual([executed[0]?.words, executed.at(-1)?.words, executed.at(-2)?.words], [["pid"], ["pid"], wake]);
  return executed.slice(1, -2);
}

const bytesOf = (text: string | undefined) => Buffer.byteLength(text ?? "");
const admission = (routes: string[], dns: string[]): Admission => ({
  kind: "connect",
  ipv4: { address: "10.42.0.2", prefixLength: 20, gateway: "10.42.0.1" },
  ipv6: { address: "fd42:1::2", prefixLength: 64, gateway: "fd42:1::1" },
  routes,
  dns,
});

test("a ticket for client scripts is pushed as an echo, and what is none never reaches the socket", () => {
  const ticket = "t".repeat(43);
  const [executed] = executedAmong([admitClient(key, { ...admission([], []), ticket }, [])], 0);
  assert.deepEqual(executed?.config?.at(-1), ["push", `echo sallyport-ticket ${ticket}`]);
  assert.equal(
    admitClient(key, { ...admission([], []), ticket: null }, [])
      .lines.join()
      .includes("echo"),
    false,
  );
  for (const none of ['x"\npush "redirect-gateway', "x".repeat(300), "END"]) {
    assert.throws(() => admitClient(key, { ...admission([], []), ticket: none }, []), RangeError);
  }
});

function expectOnlyTheDenial(reason: string, clientReason: string, alignment: number): void {
  const told = denyClient(key, { reason, clientReason, knowsTemporary: true });
  const executed = executedAmong(told.commands, alignment);
  assert.equal(executed.length, 1);
  const [name, cid, kid, logged, shown, ...more] = executed[0]?.words ?? [];
  assert.deepEqual([name, cid, kid, more], ["client-deny", `${key.cid}`, `${key.kid}`, []]);
  assert.ok(bytesOf(logged) <= 245);
  assert.ok(bytesOf(shown) <= 245);
  // A client would act on these.
  assert.doesNotMatch(shown ?? "", /^(CRV1:|TEMP|SESSION:)/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left.
  assert.doesNotMatch(`${logged}${shown}`, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
  // What did not arrive as it was is reported, for the log.
  if (told.altered.every(({ what }) => what !== "reason")) assert.equal(logged, reason);
  else assert.ok(told.altered.some(({ original }) => original === reason));
}

function tryRoute(text: string, alignment: number): void {
  for (const wish of [admission([text], []), admission([], [text])]) {
    let command: Command;
    try {
      command = admitClient(key, wish, ["explicit-exit-notify 1"]);
    } catch (error) {
      assert.ok(error instanceof SallyportError && error.code === "invalid-input");
      continue;
    }
    const executed = executedAmong([command], alignment);
    assert.equal(executed.length, 1);
    assert.deepEqual(executed[0]?.words, ["client-auth", `${key.cid}`, `${key.kid}`]);
    for (const line of executed[0]?.config ?? []) {
      assert.ok(["push", "ifconfig-push", "ifconfig-ipv6-push"].includes(line[0] ?? ""));
      assert.equal(line.length, line[0] === "push" ? 2 : 3);
    }
  }
}

function tryQuestion(text: string, alignment: number): void {
  const question: Question = {
    stateId: "s-1_x",
    userName: "alice",
    text,
    echo: true,
    responseRequired: true,
    waitMs: 60_000,
  };
  const refusal = executedAmong(questionAsRefusal(key, question).commands, alignment);
  assert.equal(refusal.length, 1);
  assert.equal(refusal[0]?.words.length, 5);
  assert.match(refusal[0]?.words[4] ?? "", /^CRV1:R,E:s-1_x:YWxpY2U=:/);
  assert.ok(bytesOf(refusal[0]?.words[4]) <= 245);
  const pending = executedAmong(questionAsText(key, question).commands, alignment);
  assert.equal(pending.length, 1);
  assert.equal(pending[0]?.words.length, 5);
  assert.match(pending[0]?.words[3] ?? "", /^CR_TEXT:R,E:/);
  assert.ok(bytesOf(pending[0]?.words[3]) <= 245);
}

function tryKill(text: string, alignment: number): void {
  const executed = executedAmong(killClient(7, { mayReturn: false, clientReason: text }).commands, alignment);
  assert.equal(executed.length, 1);
  assert.deepEqual(executed[0]?.words.slice(0, 2), ["client-kill", "7"]);
  assert.equal(executed[0]?.words.length, 3);
  assert.match(executed[0]?.words[2] ?? "", /^HALT(,|$)/);
  assert.doesNotMatch(executed[0]?.words[2] ?? "", /^HALT,\s*\[/);
}

test("of 100,000 hostile strings nothing but the intended command reaches OpenVPN, whole and within its bounds", () => {
  for (let seed = 0; seed < 100_000; seed++) {
    const text = hostileString(seed);
    const alignment = seed % 256;
    expectOnlyTheDenial(text, hostileString(seed + 1), alignment);
    if (seed % 3 === 0) tryQuestion(text, alignment);
    else if (seed % 3 === 1) tryRoute(text, alignment);
    else tryKill(text, alignment);
  }
}, 300_000);

test("whatever reason, question, route or name is given, one command of the intended form comes out", () => {
  fc.assert(
    fc.property(hostileText, hostileText, fc.nat({ max: 255 }), (one, other, alignment) => {
      expectOnlyTheDenial(one, other, alignment);
      tryRoute(one, alignment);
      tryQuestion(one, alignment);
      tryKill(one, alignment);
    }),
    { numRuns: 500 },
  );
});

test("a user name in a question can only be itself", () => {
  fc.assert(
    fc.property(hostileText, (userName) => {
      const question = { stateId: "s", userName, text: "?", echo: false, responseRequired: true, waitMs: 1_000 };
      if (bytesOf(userName) > 64) return;
      const [executed] = executedAmong(questionAsRefusal(key, question).commands, 3);
      const user = executed?.words[4]?.split(":")[3] ?? "";
      expect(Buffer.from(user, "base64").toString()).toBe(userName.toWellFormed());
    }),
  );
  const question = { stateId: "a:b", userName: "a", text: "?", echo: false, responseRequired: true, waitMs: 1 };
  expect(() => questionAsRefusal(key, question)).toThrow(SallyportError);
});

test("a word that must arrive whole is passed unchanged or not at all", () => {
  fc.assert(
    fc.property(hostileText, (name) => {
      let command: Command;
      try {
        command = plainCommand("kill", name);
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
        return;
      }
      expect(execute(encodeCommands([command]))).toEqual([{ words: ["kill", name], config: undefined }]);
    }),
  );
});

test("a text is cut at a character's border, and its original is reported", () => {
  const long = "ß".repeat(300);
  const told = denyClient(key, { reason: "x", clientReason: long, knowsTemporary: true });
  const [executed] = executedAmong(told.commands, 0);
  expect(executed?.words[4]).toBe("ß".repeat(122));
  expect(told.altered).toEqual([{ what: "client reason", original: long }]);
});

test("even two reasons of nothing but quotes both arrive, the client's the longer", () => {
  const quotes = '"'.repeat(600);
  const [executed] = executedAmong(
    denyClient(key, { reason: quotes, clientReason: quotes, knowsTemporary: true }).commands,
    60,
  );
  expect(executed?.words[4]?.length).toBeGreaterThan(200);
  expect(executed?.words[3]?.length).toBeGreaterThan(90);
});

test("a client that knows how is told when to come back, another is not shown the code for it", () => {
  const denial = { reason: "busy", clientReason: "Busy.", retryAfterSeconds: 4.2 };
  const shown = (knowsTemporary: boolean) =>
    executedAmong(denyClient(key, { ...denial, knowsTemporary }).commands, 0)[0]?.words[4];
  expect(shown(true)).toBe("TEMP[backoff 5]:Busy.");
  expect(shown(false)).toBe("Busy.");
});

test("an admission becomes addresses, routes and name servers as OpenVPN words them", () => {
  const command = admitClient(
    { cid: 3, kid: 1 },
    admission(["10.0.0.0/8", "0.0.0.0/0", "fd00::/8", "::/0"], ["10.0.0.53", "fd00::53"]),
    ["explicit-exit-notify 1"],
  );
  expect(command.lines).toEqual([
    "client-auth 3 1",
    'push "topology subnet"',
    "ifconfig-push 10.42.0.2 255.255.240.0",
    'push "route-gateway 10.42.0.1"',
    "ifconfig-ipv6-push fd42:1::2/64 fd42:1::1",
    'push "route 10.0.0.0 255.0.0.0"',
    'push "route-ipv6 fd00::/8"',
    'push "redirect-gateway def1 ipv6"',
    'push "dhcp-option DNS 10.0.0.53"',
    'push "dhcp-option DNS6 fd00::53"',
    'push "explicit-exit-notify 1"',
    "END",
  ]);
});

test("what is no address of its family is not sent", () => {
  const wrong = { ...admission([], []), ipv4: { address: "fd42::2", prefixLength: 20, gateway: "10.42.0.1" } };
  expect(() => admitClient(key, wrong, [])).toThrow(/IPv4 address/);
  const wide = { ...admission([], []), ipv4: { address: "10.42.0.2", prefixLength: 33, gateway: "10.42.0.1" } };
  expect(() => admitClient(key, wide, [])).toThrow(/prefix length/);
  expect(() => admitClient(key, admission(Array(300).fill("10.0.0.0/8"), []), [])).toThrow(/number of routes/);
});

test("a line that breaks a bound is refused before anything is sent", () => {
  for (const line of ["a\nb", "a\rb", "a\0b", "x".repeat(768), "\ud800"]) {
    expect(() => encodeCommands([{ lines: [line], reply: "line" }])).toThrow(RangeError);
  }
  expect(encodeCommands([{ lines: ["x".repeat(767)], reply: "line" }]).length).toBe(768);
});
