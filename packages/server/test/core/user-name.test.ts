import { expect, it } from "vitest";
import { whyNoUserName } from "../../src/core/user-name.ts";

it.each(["alice", "a b", " alice", "Zoë", "用户", "O'Neil", "DOMAIN\\alice", "a".repeat(64), "é".repeat(32), "👩‍🔧"])(
  "takes %j as the name of a user",
  (name) => {
    expect(whyNoUserName(name)).toBeUndefined();
  },
);

it.each([
  ["", "it is empty"],
  [" ", "it is blank"],
  ["\u00a0\u3000 ", "it is blank"],
  ["\u200b\u200d", "it is blank"],
  ["alice\n", "it holds control characters"],
  ["\t", "it holds control characters"],
  ["ali\u0000ce", "it holds control characters"],
  ["ali\u0085ce", "it holds control characters"],
  ["ali\ud800ce", "it holds broken UTF-8"],
  ["ali\ufffdce", "it holds broken UTF-8"],
  ["a".repeat(65), "it is 65 bytes long, and at most 64 are taken"],
  ["é".repeat(33), "it is 66 bytes long, and at most 64 are taken"],
])("says of %j why it names nobody", (name, why) => {
  expect(whyNoUserName(name)).toBe(why);
});
