import { userInfo } from "node:os";
import { expect, test } from "vitest";
import { accountName, accountNamed } from "../../src/machine/account-name.ts";

test("an account has a name by its number, and a number that is nobody's has none", async () => {
  expect(await accountName(0)).toBe("root");
  expect(await accountName(userInfo().uid)).toBe(userInfo().username);
  expect(await accountName(4_212_345)).toBeUndefined();
});

test.each([
  ["root", true],
  ["nobody", true],
  ["no-such-account", false],
  ["", false],
  ["-n", false],
  ["--help", false],
  // A number is no name, though it means an account to many programs.
  ["0", false],
  ["root\n", false],
])("the account %j is there: %s", async (name, there) => {
  expect(await accountNamed(name)).toBe(there ? name : undefined);
});
