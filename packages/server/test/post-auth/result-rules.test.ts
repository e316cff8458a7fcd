import { expect, test } from "vitest";
import { judgeResult } from "../../src/post-auth/result-rules.ts";

const before = { user: "alice", reason: "ldap auth succeeded", properties: { conn_group: "old", pvt_a: "1" } };
const judge = (value: unknown) => judgeResult({ value, before });
const ok = { status: 0, user: "alice", reason: "fine", proplist: {} };

test("an authret with status 0 allows, with what the script changed", () => {
  const value = { ...ok, user: "alice.smith", client_reason: "hi", proplist: { conn_group: "eng" } };
  expect(judge(value)).toEqual({
    decision: "allow",
    user: "alice.smith",
    reason: "fine",
    clientReason: "hi",
    properties: { conn_group: "eng" },
    save: {},
    extra: {},
    warnings: [],
  });
});

test("a list of authret and proplist_save saves, and None saves nothing", () => {
  expect(judge([ok, { pvt_hw_addr: "x" }])).toMatchObject({ decision: "allow", save: { pvt_hw_addr: "x" } });
  expect(judge([ok, null])).toMatchObject({ decision: "allow", save: {} });
});

test("what a script left out stays as it was", () => {
  expect(judge({ status: 0 })).toMatchObject({ ...{ decision: "allow", clientReason: null }, ...before });
  expect(judge({ status: 1, reason: null })).toMatchObject({ decision: "deny", reason: before.reason });
});

test.each([
  [true, "True"],
  [false, "False"],
  ["0", 'the string "0"'],
  [2, "the number 2"],
  [-1, "the number -1"],
  [0.5, "the number 0.5"],
  [{ $float: "0.0" }, "the float 0.0"],
  [null, "nothing (None)"],
  [[0], "a list"],
  [{}, "a dict"],
])("a status that is neither of the integers 0 and 1 denies, and says what it is: %j", (status, words) => {
  const problem = `authret['status'] is ${words}; it must be one of the integers SUCCEED (0) and FAIL (1)`;
  expect(judge({ ...ok, status })).toEqual({ decision: "bad", problem });
});

test("a status that is missing denies", () => {
  expect(judge({ user: "alice" })).toMatchObject({ problem: expect.stringContaining("authret['status'] is missing") });
});

test.each([
  [null, "nothing (None)"],
  [undefined, "nothing (None)"],
  ["yes", 'the string "yes"'],
  [0, "the number 0"],
  [true, "True"],
  [{ $float: "0.0" }, "the float 0.0"],
  [[null, {}], "nothing (None)"],
])("what is no authret denies: %j", (value, words) => {
  expect(judge(value)).toEqual({ decision: "bad", problem: `the script returned ${words} where authret was expected` });
});

test.each([[[]], [[ok]], [[ok, {}, {}]]])("a list of another length denies: %j", (value) => {
  expect(judge(value)).toMatchObject({ problem: expect.stringContaining(`returned ${value.length} values`) });
});

test.each([
  [{ conn_group: ["eng"] }, "authret['proplist']['conn_group'] is a list; properties are strings"],
  [{ conn_group: 7 }, "authret['proplist']['conn_group'] is the number 7; properties are strings"],
  [{ prop_superuser: true }, "authret['proplist']['prop_superuser'] is True; properties are strings"],
  [{ prop_superuser: null }, "authret['proplist']['prop_superuser'] is nothing (None); properties are strings"],
  [{ pvt_a: "a\0b" }, "authret['proplist']['pvt_a'] holds a NUL or broken Unicode"],
  [{ pvt_a: "\ud800" }, "authret['proplist']['pvt_a'] holds a NUL or broken Unicode"],
  [{ "a\nb": "x" }, "authret['proplist'] has the string \"a\\nb\" as the name of a property"],
  [null, "authret['proplist'] is nothing (None); it must be a dict of strings"],
  [[], "authret['proplist'] is a list; it must be a dict of strings"],
  [{ pvt_a: "x".repeat(300_000) }, "authret['proplist'] holds 300005 characters; at most 262144 can be kept"],
])("a proplist that holds anything but strings denies: %j", (proplist, problem) => {
  expect(judge({ ...ok, proplist })).toEqual({ decision: "bad", problem });
  const saved = judge([ok, proplist]);
  if (proplist !== null)
    expect(saved).toEqual({ decision: "bad", problem: problem.replaceAll("authret['proplist']", "proplist_save") });
});

test.each([
  ["user", 7],
  ["user", ""],
  ["user", "a\0"],
  ["reason", { a: 1 }],
  ["reason", "x".repeat(5_000)],
  ["client_reason", true],
])("a text that is none denies: %s = %j", (key, value) => {
  expect(judge({ ...ok, [key]: value })).toMatchObject({
    decision: "bad",
    problem: expect.stringContaining(`authret['${key}']`),
  });
});

test("a denial stays one, whatever else is wrong with it, and the faults become warnings", () => {
  const value = { status: 1, user: "alice", reason: "no", client_reason: 5, proplist: { a: 1 } };
  const judged = judge(value);
  expect(judged).toMatchObject({ decision: "deny", reason: "no", clientReason: null, properties: {} });
  expect("warnings" in judged && judged.warnings).toHaveLength(2);
});

test("a property at the top of authret is ignored, with a warning", () => {
  expect(judge({ ...ok, conn_group: "eng" })).toMatchObject({
    decision: "allow",
    properties: {},
    warnings: ["authret['conn_group'] is ignored; it belongs in authret['proplist']"],
  });
});

test("other keys at the top are kept for the scripts that follow", () => {
  expect(judge({ ...ok, seen_by: ["duo"] })).toMatchObject({ extra: { seen_by: ["duo"] }, warnings: [] });
});
