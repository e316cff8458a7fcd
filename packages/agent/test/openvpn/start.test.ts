import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { openVpnOptions, openVpnPrograms } from "../../src/openvpn/command.ts";
import { findOpenVpn } from "../../src/openvpn/find-openvpn.ts";
import { startOpenVpn } from "../../src/openvpn/process.ts";

const execute = promisify(execFile);

test.each(["linux", "mac", "win"] as const)(
  "this openvpn takes the lines that are for %s, whether it knows them or not",
  async (platform) => {
    const directory = await mkdtemp(join(tmpdir(), "openvpn-lines-"));
    const config = join(directory, "config");
    await writeFile(
      config,
      [...openVpnOptions(platform), "block-outside-dns", "client", "dev tun", "remote 127.0.0.1 9"].join("\n"),
    );
    const said = await execute("/usr/sbin/openvpn", ["--config", config]).catch((error) => `${error.stdout}`);
    // It got as far as to miss what a client config has; else it stops at the line.
    expect(said).toContain("Options error: You must define CA file");
    await rm(directory, { recursive: true });
  },
);

test("what root names is started, what the machine has is looked for where only root puts programs", async () => {
  expect(openVpnPrograms("mac", { PATH: "/evil" })).toEqual([
    ...["/opt/homebrew/sbin/openvpn", "/usr/local/sbin/openvpn", "/opt/local/sbin/openvpn2"],
  ]);
  expect(await findOpenVpn({ platform: "linux", given: undefined, programsOf: [] })).toBe("/usr/sbin/openvpn");
  expect(await findOpenVpn({ platform: "mac", given: "/usr/sbin/openvpn", programsOf: [] })).toBe("/usr/sbin/openvpn");
  await expect(findOpenVpn({ platform: "mac", given: undefined, programsOf: [] })).rejects.toMatchObject({
    kind: "program-missing",
    next: expect.stringContaining("brew install"),
  });
  await expect(findOpenVpn({ platform: "linux", given: "/etc", programsOf: [] })).rejects.toThrow("/etc is no program");
});

test("an openvpn that has outlived its agent ends when the next starts one, and its keys go", async () => {
  const base = await mkdtemp(join(tmpdir(), "openvpn-left-"));
  const left = join(base, "4194305-1-abcdef");
  await mkdir(left);
  const words = ["-c", "echo; read line", "openvpn", "--config", join(left, "config")];
  const outlived = spawn("/bin/sh", words, { stdio: ["pipe", "pipe", "inherit"] });
  await once(outlived.stdout, "data");
  const gone = once(outlived, "exit");
  const program = {
    program: "/bin/true",
    profileText: "",
    peerInfo: {},
    programsOf: async () => [],
    onOutput: () => undefined,
  };
  const started = await startOpenVpn({ ...program, base });
  expect((await gone)[1]).toBe("SIGTERM");
  await started.exited;
  expect(await readdir(base)).toEqual([]);
  await rm(base, { recursive: true });
});
