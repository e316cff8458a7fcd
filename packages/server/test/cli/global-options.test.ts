import { expect, test } from "vitest";
import { takeGlobalOptions } from "../../src/cli/global-options.ts";

test.each([
  [["--config", "a.yaml", "user", "list", "--json"]],
  [["user", "--json", "list", "--config=a.yaml"]],
  [["--json", "user", "--config", "a.yaml", "list"]],
])("--config and --json may stand anywhere: %j", (argv) => {
  expect(takeGlobalOptions(argv)).toEqual({ json: true, configFile: "a.yaml", rest: ["user", "list"] });
});

test("after -- every word is a word, so that values may look like options", () => {
  expect(takeGlobalOptions(["config", "set", "--", "key", "--json"])).toEqual({
    json: false,
    configFile: undefined,
    rest: ["config", "set", "--", "key", "--json"],
  });
});

test("the last --config wins, and one without a file is wrong usage", () => {
  expect(takeGlobalOptions(["--config", "a", "--config", "b"]).configFile).toBe("b");
  expect(() => takeGlobalOptions(["user", "list", "--config"])).toThrow("needs the name of a file");
  expect(() => takeGlobalOptions(["--config="])).toThrow("needs the name of a file");
});
