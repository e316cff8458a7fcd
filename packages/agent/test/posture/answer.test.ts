import { expect, test } from "vitest";
import { answerHostChecks } from "../../src/posture/answer.ts";
import type { Application, ApplicationSource } from "../../src/posture/application.ts";

const source = (...applications: Application[]): ApplicationSource => ({
  name: "known",
  list: async () => applications,
});

const sources = [
  source(
    { names: ["Mozilla Firefox (x64 en-US)"], version: "128.5.0" },
    { names: ["Antivirus"], version: " 4.18.2\n" },
    { names: ["Tool"], version: "" },
    { names: ["Office 2019"], version: "16.0" },
    { names: ["Office 365"], version: "16.0" },
    { names: ["Twice"], version: "1.0" },
    { names: ["Twice"], version: "1.0" },
    { names: ["Runtime"], version: "1.0" },
    { names: ["Runtime"], version: "2.0" },
    { names: ["org.example.Editor", "Editor"], version: async () => "3.1" },
    { names: ["Broken"], version: () => Promise.reject(new Error("no answer")) },
    { names: ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"], version: "1" },
  ),
  source({ names: ["Antivirus"], version: "9" }, { names: ["Second"], version: "2.2" }),
];
const answers = (lines: string[], platform: "win" | "mac" | "linux" = "win") =>
  answerHostChecks(lines, { platform, sources, regexDeadlineMs: 1000 });

test.concurrent.each([
  ["a version", "A=^Mozilla Firefox", "128.5.0"],
  ["a version, tidied", "A=^Antivirus$", "4.18.2"],
  ["whatever the case, where it is asked for so", "A=(?i)^ANTIVIRUS$", "4.18.2"],
  ["case counts otherwise", "A=^ANTIVIRUS$", "ERR_NOT_FOUND"],
  ["nothing there", "A=^Nothing$", "ERR_NOT_FOUND"],
  ["no version known", "A=^Tool$", "ERR_NO_VERSION"],
  ["the version cannot be learnt", "A=^Broken$", "ERR_NO_VERSION"],
  ["two applications", "A=^Office", "ERR_MANY_FOUND"],
  ["one application, listed twice", "A=^Twice$", "1.0"],
  ["one application in two versions", "A=^Runtime$", "ERR_MANY_FOUND"],
  ["its other name, and a version that must be asked for", "A=^Editor$", "3.1"],
  ["a source further down", "A=^Second$", "2.2"],
  ["no regular expression", "A=(unclosed", "ERR_REGEX"],
  ["a regular expression that does not end", "A=^(a+)+$", "ERR_REGEX"],
])("an answer is: %s", async (_title, line, answer) => {
  expect(await answers([line])).toEqual({ UV_APPVER_A: answer });
});

test("what is asked of another platform is not answered, and what is asked of this one goes before what is asked of all", async () => {
  const lines = ["A=^Nothing$", "['win']", "A=^Second$", "['mac']", "B=^Second$", "linux:C=^Second$", "linux:D=(bad"];
  expect(await answers(lines)).toEqual({ UV_APPVER_A: "2.2" });
  expect(await answers(lines, "linux")).toEqual({
    UV_APPVER_A: "ERR_NOT_FOUND",
    UV_APPVER_C: "2.2",
    UV_APPVER_D: "ERR_REGEX",
  });
});

test("lines as they stand in a client config are understood", async () => {
  expect(await answers(["# win:A=^Second$", "# all:B=^Nothing$"])).toEqual({
    UV_APPVER_A: "2.2",
    UV_APPVER_B: "ERR_NOT_FOUND",
  });
});

test.concurrent("regular expressions that do not end cost little, and those before and after them are answered", async ({
  expect,
}) => {
  const slow = ["B", "C", "D", "E", "F"].map((name) => `${name}=^(a+)+$`);
  const all = await answers(["A=^Second$", slow[0] ?? "", "G=^Twice$"]);
  expect(all).toEqual({ UV_APPVER_A: "2.2", UV_APPVER_B: "ERR_REGEX", UV_APPVER_G: "1.0" });
  expect(Object.values(await answers(slow))).toEqual(Array(5).fill("ERR_REGEX"));
});

test("an answer never carries what could end a line or a quoted word of a config", async () => {
  const evil = [source({ names: ["Evil"], version: `1.0"\nscript-security 3\n${"x".repeat(500)}` })];
  const { UV_APPVER_A: answer = "" } = await answerHostChecks(["A=Evil"], { platform: "win", sources: evil });
  expect(answer).toMatch(/^1\.0_script-security_3_x+$/);
  expect(answer.length).toBe(64);
});

test("a source that fails has no applications, and a list is made once for all questions", async () => {
  let lists = 0;
  const failing: ApplicationSource = { name: "failing", list: () => Promise.reject(new Error("gone")) };
  const counted: ApplicationSource = {
    name: "counted",
    list: async () => {
      lists += 1;
      return [{ names: ["Counted"], version: "1" }];
    },
  };
  const machine = { platform: "linux" as const, sources: [failing, counted] };
  expect(await answerHostChecks(["A=Counted", "B=Counted", "C=Nothing"], machine)).toMatchObject({ UV_APPVER_B: "1" });
  expect(lists).toBe(1);
  expect(await answerHostChecks([], machine)).toEqual({});
  expect(lists).toBe(1);
});
