import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { keepSnapshot } from "../../src/python/snapshot.ts";
import { runPython } from "./run-python.ts";

const examples = resolve(import.meta.dirname, "../../../../examples/client-scripts");
const installer = Buffer.from("an installer of\0 bytes \xff\xfe".repeat(20_000), "latin1");
let directory: string;
let server: Server;
let url: string;

beforeAll(async () => {
  await keepSnapshot();
  directory = await mkdtemp(join(tmpdir(), "examples-"));
  server = createServer((request, response) => {
    if (request.url === "/moved.msi") response.writeHead(302, { location: "/installer.msi" }).end();
    else response.end(installer);
  });
  await new Promise<void>((listening) => void server.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

/** A program that writes down what it was called with, a line for each call. */
async function standIn(name: string, status = 0): Promise<{ bin: string; calls(): Promise<string[]> }> {
  const bin = await mkdtemp(join(directory, "bin-"));
  const log = join(bin, "calls");
  await writeFile(join(bin, name), `#!/bin/sh\necho "$@" >>${log}\nexit ${status}\n`);
  await chmod(join(bin, name), 0o755);
  return {
    bin,
    calls: async () => (existsSync(log) ? (await readFile(log, "utf8")).trim().split("\n") : []),
  };
}

describe.each(["builtin", "system"] as const)("in the %s Python", { timeout: 120_000 }, (python) => {
  test.concurrent("launch-url opens the page on the first connect, and not on reconnects", async ({ expect }) => {
    const text = await readFile(join(examples, "launch-url.py"), "utf8");
    const browser = await standIn("browser");
    const environment = { LAUNCH_URL: "https://intranet.example.org/?a=1&b=2", BROWSER: join(browser.bin, "browser") };
    for (const reconnects of ["0", "1"]) {
      const outcome = await runPython(text, python, { environment: { ...environment, N_RECONNECTS: reconnects } });
      expect(outcome).toMatchObject({ status: 0, error: "" });
      await expect.poll(browser.calls, { timeout: 20_000 }).toEqual([environment.LAUNCH_URL]);
    }
  });

  test.concurrent("install-msi installs what has the hash, once for each user", async () => {
    const text = await readFile(join(examples, "install-msi.py"), "utf8");
    const msiexec = await standIn("msiexec");
    const home = await mkdtemp(join(directory, "home-"));
    const environment = {
      PATH: `${msiexec.bin}:/usr/bin:/bin`,
      HOME: home,
      MSI_URL: `${url}/moved.msi`,
      MSI_HASH: createHash("sha1").update(installer).digest("hex").toUpperCase(),
      MSI_OPT: "/qn /norestart",
    };
    const call = [expect.stringMatching(/^\/i .*\/installer\.msi \/qn \/norestart$/)];
    expect(await runPython(text, python, { environment })).toMatchObject({ status: 0, error: "" });
    expect(await msiexec.calls()).toEqual(call);
    expect(await readFile(join(home, ".installed-by-vpn", environment.MSI_HASH.toLowerCase()), "utf8")).toContain(url);

    expect(await runPython(text, python, { environment })).toMatchObject({ status: 0, error: "" });
    expect(await msiexec.calls()).toEqual(call);
  });

  test.concurrent("install-msi runs nothing that has another hash, and marks nothing that failed", async () => {
    const text = await readFile(join(examples, "install-msi.py"), "utf8");
    const home = join(directory, `other-${python}`);
    await mkdir(home);
    const msiexec = await standIn("msiexec", 7);
    const environment = { PATH: `${msiexec.bin}:/usr/bin:/bin`, HOME: home, MSI_URL: `${url}/installer.msi` };
    const wrong = await runPython(text, python, { environment: { ...environment, MSI_HASH: "0".repeat(40) } });
    expect(wrong).toMatchObject({ status: 1, error: expect.stringContaining("not installed: the SHA-1 of") });
    expect(await msiexec.calls()).toEqual([]);

    const hash = createHash("sha1").update(installer).digest("hex");
    const failed = await runPython(text, python, { environment: { ...environment, MSI_HASH: hash } });
    expect(failed).toMatchObject({ status: 1, error: "msiexec failed with status 7\n" });
    expect(existsSync(join(home, ".installed-by-vpn"))).toBe(false);
  });
});
