import { expect, test } from "vitest";
import { type PamAnswer, refusalOf } from "../../../src/auth/methods/pam-answers.ts";

const answer = (more: Partial<PamAnswer>): PamAnswer => ({
  code: 0,
  phase: "account",
  text: "words",
  username: "alice",
  messages: [],
  unanswered: null,
  ...more,
});

test("only success without an open question lets anybody in", () => {
  expect(refusalOf(answer({}))).toBeUndefined();
  expect(refusalOf(answer({ unanswered: "Code:" }))).toEqual({ outage: expect.stringContaining("Code:") });
  for (let code = 1; code < 40; code++) {
    for (const phase of ["start", "authenticate", "account"] as const) {
      expect(refusalOf(answer({ code, phase }))).toBeDefined();
    }
  }
});

test.each([
  [7, "authenticate", "wrong user name or password"],
  [10, "authenticate", "no such user"],
  [13, "account", "the account has expired"],
  [12, "account", "must be changed"],
  [6, "account", "permission denied"],
] as const)("code %i in the phase %s is the person's fault: %s", (code, phase, words) => {
  expect(refusalOf(answer({ code, phase }))).toEqual({ wrong: expect.stringContaining(words) });
});

test.each([
  [9, "authenticate"],
  [3, "authenticate"],
  [4, "start"],
  [28, "authenticate"],
  [26, "start"],
  [7, "start"],
] as const)("code %i in the phase %s is an outage", (code, phase) => {
  expect(refusalOf(answer({ code, phase }))).toEqual({ outage: expect.stringContaining(`(${code})`) });
});

test("what modules told the person is in the reason", () => {
  expect(refusalOf(answer({ code: 6, messages: ["System is down", "Come back later"] }))).toEqual({
    wrong: "permission denied: System is down; Come back later",
  });
});
