import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inside } from "./lab/network.ts";
import { type Lab, openLab } from "./lab.ts";

const execute = promisify(execFile);
let lab: Lab;

beforeAll(async () => {
  lab = await openLab();
  await lab.daemon.start();
});

afterAll(() => lab[Symbol.asyncDispose]());

/** Asked from a client's machine, which trusts our authority alone. */
async function get(path: string): Promise<string> {
  const authority = join(lab.dataDirectory, "pki", "authority", "ca.crt");
  const url = `https://${lab.serverAddress}:8443${path}`;
  const words = ["curl", "--silent", "--show-error", "--fail", "--max-time", "20", "--cacert", authority, url];
  const [program = "", ...args] = inside(await lab.network.client(), words);
  return (await execute(program, args)).stdout;
}

test("the daemon says that it lives and lets people in, over HTTPS with a certificate of its own authority", async () => {
  expect(await get("/healthz")).toBe("ok\n");
  expect(await get("/readyz")).toBe("ready\n");
  expect(await get("/")).toContain("VPN");
});
