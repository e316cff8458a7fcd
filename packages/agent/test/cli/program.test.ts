import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { expect, test } from "vitest";

const main = resolve(import.meta.dirname, "../../src/main.ts");

test("wrong usage is told on standard error and ends with 2; help that was asked for is what is printed", async () => {
  expect(await agent()).toEqual({ status: 2, stdout: "", stderr: expect.stringContaining("Usage: sallyport-agent") });
  expect(await agent("zork")).toEqual({ status: 2, stdout: "", stderr: expect.stringContaining("no command zork") });
  expect(await agent("run-script", "--event", "zork", "a.sh")).toMatchObject({ status: 2, stdout: "" });
  expect(await agent("--help")).toEqual({ status: 0, stdout: expect.stringContaining("Usage:"), stderr: "" });
});

async function agent(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const { promise, resolve: ended } = Promise.withResolvers<{ status: number; stdout: string; stderr: string }>();
  execFile(process.execPath, [main, ...args], (error, stdout, stderr) =>
    ended({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
  );
  return await promise;
}
