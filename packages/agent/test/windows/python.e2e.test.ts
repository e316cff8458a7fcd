import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../../server/test/waiting.ts";
import { makeInstaller } from "./installer.ts";
import { openWine, type Wine } from "./wine.ts";

const examples = resolve(import.meta.dirname, "../../../../examples/client-scripts");
let wine: Wine;
beforeAll(async () => {
  wine = await openWine();
  await wine.hurryPython();
});
afterAll(() => wine?.[Symbol.asyncDispose]());

async function run(path: string, environment: Record<string, string> = {}, args: readonly string[] = []) {
  const variables = Object.entries(environment).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  return await wine.agent(["run-script", "--event", "connect", "--allow-root", ...variables, ...args, path]);
}

test("the built-in Python is on Windows: its paths, processes, environment, standard input and exit status", async () => {
  const text = `#PYTHON
import os, subprocess, sys
print(os.name, sys.platform, os.path.isabs(os.getcwd()), "windows" in os.listdir("C:\\\\"))
print(os.environ["temp"] == os.environ["TEMP"] == os.getcwd(), "grüß", sys.stdin.read())
print(subprocess.run(["cmd", "/c", "echo", "a b"], capture_output=True, text=True).stdout.strip())
open("C:\\\\written", "w").write("line\\n")
sys.exit(3)
`;
  await writeFile(join(wine.drive, "try.py"), text);
  const { stdout, stderr } = await run("C:\\try.py", {}, ["--stdin", "given"]);
  expect(String(stdout).replaceAll("\r", "")).toBe(`nt win32 True True\nTrue grüß given\n"a b"\n`);
  expect(String(stderr)).toContain("try.py: exit status 3");
  expect((await readFile(join(wine.drive, "written"), "utf8")).trim()).toBe("line");
});

test("launch-url opens the page in what opens pages there", async () => {
  await cp(join(examples, "launch-url.py"), join(wine.drive, "launch-url.py"));
  await writeFile(join(wine.drive, "open.cjs"), `require("fs").writeFileSync("C:\\\\opened", process.argv[2])`);
  for (const kind of ["HKCR\\https", "HKCU\\Software\\Classes\\https"]) {
    const command = `"${wine.node}" "C:\\open.cjs" "%1"`;
    await wine.run("reg.exe", ["add", `${kind}\\shell\\open\\command`, "/ve", "/d", command, "/f"]);
  }
  const url = "https://intranet.example.org/?a=1&b=%20ü";
  expect((await run("C:\\launch-url.py", { LAUNCH_URL: url })).status).toBe(0);
  await until("the page", () => existsSync(join(wine.drive, "opened")));
  expect(decodeURI(await readFile(join(wine.drive, "opened"), "utf8"))).toBe(decodeURI(url));
});

test("install-msi has msiexec install what has the hash, once; the host check finds it then", async () => {
  const installer = await makeInstaller(wine);
  let downloads = 0;
  const server: Server = createServer((_, response) => {
    downloads += 1;
    response.end(installer);
  });
  await new Promise<void>((listening) => void server.listen(0, "127.0.0.1", listening));
  try {
    await cp(join(examples, "install-msi.py"), join(wine.drive, "install-msi.py"));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tool.msi`;
    const hash = createHash("sha1").update(installer).digest("hex");
    const wrong = await run("C:\\install-msi.py", { MSI_URL: url, MSI_HASH: "0".repeat(40) });
    expect([wrong.status, wrong.said]).toEqual([1, expect.stringContaining("not installed: the SHA-1 of")]);
    for (let times = 0; times < 2; times++) {
      const { status, said } = await run("C:\\install-msi.py", { MSI_URL: url, MSI_HASH: hash });
      expect([status, said]).toEqual([0, expect.stringContaining("exit status 0")]);
    }
    expect(downloads).toBe(2);
    const program = await wine.bundle(join(import.meta.dirname, "programs/tell-machine.ts"));
    const { stdout } = await wine.run(wine.node, [program, "TOOL=^VPN Tool$"]);
    expect(JSON.parse(String(stdout)).answers).toEqual({ UV_APPVER_TOOL: "2.5.1" });
  } finally {
    server.close();
  }
});
