import { inspect } from "node:util";
import { expect, it } from "vitest";
import { Secret } from "../../src/core/secret.ts";

const secret = new Secret("hunter2");

it("masks itself wherever it is printed", () => {
  const printed = [
    `${secret}`,
    String(secret),
    JSON.stringify({ secret }),
    inspect({ deep: { secret } }, { depth: 9, showHidden: true }),
    new Error(`with ${secret}`).message,
  ].join("\n");
  expect(printed).not.toContain("hunter2");
  expect(secret.reveal()).toBe("hunter2");
});

it("compares with texts of any length", () => {
  expect(secret.equals("hunter2")).toBe(true);
  expect(secret.equals("hunter")).toBe(false);
  expect(secret.equals("")).toBe(false);
});
