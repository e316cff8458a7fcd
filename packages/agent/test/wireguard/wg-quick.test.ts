import { execFile, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../../server/test/waiting.ts";
import { findWgQuick } from "../../src/wireguard/mac-device.ts";
import { wgQuickCommand } from "../../src/wireguard/wg-quick.ts";

const execute = promisify(execFile);
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "wg-quick-"));
});

afterAll(() => rm(directory, { recursive: true }));

const homebrew = {
  bash: "/opt/homebrew/bin/bash",
  wgQuick: "/opt/homebrew/bin/wg-quick",
  wg: "/opt/homebrew/bin/wg",
  directory: "/opt/homebrew/bin",
};

test("on macOS bash runs wg-quick by its path, and finds the system's programs before Homebrew's", () => {
  const path = "/usr/bin:/bin:/usr/sbin:/sbin:/opt/homebrew/bin";
  for (const verb of ["up", "down"] as const)
    expect(wgQuickCommand(homebrew, verb, "/var/db/sallyport-agent/wireguard/wgs01234567.conf")).toEqual({
      program: "/opt/homebrew/bin/bash",
      args: ["/opt/homebrew/bin/wg-quick", verb, "/var/db/sallyport-agent/wireguard/wgs01234567.conf"],
      environment: { PATH: path, LC_ALL: "C" },
    });
});

test("what is missing of wg-quick's programs is named", async () => {
  await expect(findWgQuick([join(directory, "none")], [])).rejects.toMatchObject({ kind: "program-missing" });
  const bin = join(directory, "prefix/bin");
  await mkdir(bin, { recursive: true, mode: 0o755 });
  for (const name of ["wg-quick", "bash"]) await writeFile(join(bin, name), "#!/bin/sh\n", { mode: 0o755 });
  await expect(findWgQuick([join(directory, "prefix")], [])).rejects.toThrow(`${bin}/wg is not installed`);
});

/** Runs a program of the test's in a network namespace of its own, and gives what it prints. */
function inNamespace(text: string): ReturnType<typeof spawn> {
  const words = ["--net", process.execPath, "--input-type=module-typescript", "--eval", text];
  return spawn("unshare", words, { stdio: ["pipe", "pipe", "inherit"] });
}

const base = () => join(directory, "wireguard");
const source = (name: string) => JSON.stringify(join(import.meta.dirname, "../../src", name));

/** Brings a tunnel up as on macOS, by this system's own wg-quick; then does what is said, and takes it down at an end of input. */
function bringingUp(then: string): string {
  const raw = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" }).d ?? "";
  const key = Buffer.from(raw, "base64url").toString("base64");
  const profile = `[Interface]\nPrivateKey = ${key}\nAddress = 10.43.0.2/32, fd43::2/128\nMTU = 1380\nPostUp = touch ${directory}/evil\n[Peer]\nPublicKey = ${key}\nAllowedIPs = 10.99.0.0/16\nEndpoint = 127.0.0.1:9\n`;
  return `
    import { execFileSync } from "node:child_process";
    import { readWireGuardProfile } from ${source("profile/wireguard-file.ts")};
    import { findWgQuick } from ${source("wireguard/mac-device.ts")};
    import { bringUpByWgQuick } from ${source("wireguard/wg-quick.ts")};
    const start = { profile: readWireGuardProfile(${JSON.stringify(profile)}), base: ${JSON.stringify(base())}, programsOf: async () => [], log: () => undefined };
    execFileSync("ip", ["link", "set", "up", "dev", "lo"]);
    const device = await bringUpByWgQuick(start, await findWgQuick(["/usr"], []), "linux");
    const ip = (...words) => execFileSync("ip", words, { encoding: "utf8" });
    const facts = { name: device.name, address: ip("address", "show", "dev", device.name), route: ip("route") };
    console.log(JSON.stringify({ ...facts, traffic: await device.traffic() }));
    ${then}`;
}

const firstLine = async (child: ReturnType<typeof spawn>) =>
  JSON.parse(`${(await once(child.stdout as NodeJS.ReadableStream, "data"))[0]}`);

// Debian's wg-quick in the place of macOS': the same two commands, the same file.
test("wg-quick brings the tunnel up from what was read of a client config, and takes it down; of a killed agent the next does", {
  timeout: 120_000,
}, async () => {
  const killed = inNamespace(bringingUp("setInterval(() => undefined, 1_000);"));
  const left = await firstLine(killed);
  expect(left.address).toMatch(/mtu 1380.*inet 10\.43\.0\.2\/32.*inet6 fd43::2\/128/s);
  expect(left.route).toContain(`10.99.0.0/16 dev ${left.name}`);
  expect(left.traffic).toEqual({ lastHandshake: null, receivedBytes: 0 });
  expect(await readFile(join(base(), `${left.name}.conf`), "utf8")).toBe("[Interface]\n");
  const socket = `/var/run/wireguard/${left.name}.sock`;
  killed.kill("SIGKILL");
  await once(killed, "close");
  expect((await execute("ls", [socket])).stdout).toContain(left.name);

  const stopped = inNamespace(
    bringingUp("process.stdin.on('end', async () => { await device.takeDown(); process.exit(0); }).resume();"),
  );
  const { name } = await firstLine(stopped);
  expect(await readdir(base())).toEqual([`${name}.conf`, `${name}.owner`]);
  await until(
    "what the killed one left to be gone",
    async () => !(await readdir("/var/run/wireguard")).includes(`${left.name}.sock`),
  );
  stopped.stdin?.end();
  expect((await once(stopped, "close"))[0]).toBe(0);
  expect([await readdir(base()), await readdir(directory)]).toEqual([[], ["prefix", "wireguard"]]);
  await until("nothing to be left", async () => !(await readdir("/var/run/wireguard")).includes(`${name}.sock`));
});
