import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemRelease } from "../../src/machine/system-release.ts";

const execute = promisify(execFile);
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "device-"));
});

afterAll(() => rm(directory, { recursive: true }));

/** What the machine is called by a process in a network of its own, which these commands have laid. */
async function calledIn(commands: readonly string[]): Promise<string> {
  const module = JSON.stringify(join(import.meta.dirname, "../../src/machine/device.ts"));
  const program = `import { deviceAddress } from ${module};
    console.log(await deviceAddress(${JSON.stringify(join(directory, "device"))}));`;
  const script = `${["ip link set up dev lo", ...commands].join(" && ")} && exec "$@"`;
  const node = [process.execPath, "--input-type=module-typescript", "--eval", program];
  const { stdout } = await execute("unshare", ["--net", "sh", "-c", script, "sh", ...node]);
  return stdout.trim();
}

const link = (name: string, mac: string, address: string) => [
  `ip link add ${name} type veth peer name ${name}p`,
  `ip link set ${name}p up`,
  `ip link set ${name} address ${mac} up`,
  `ip address add ${address} dev ${name} ${address.includes(":") ? "nodad" : ""}`,
];

test("a machine is called by the hardware address of its default gateway's interface, by IPv4 or IPv6", async () => {
  const two = [...link("d1", "02:00:00:00:00:01", "10.9.1.2/24"), ...link("d2", "02:00:00:00:00:02", "10.9.2.2/24")];
  expect(await calledIn([...two, "ip route add default via 10.9.2.1"])).toBe("02:00:00:00:00:02");
  const six = [...link("d1", "02:00:00:00:00:01", "10.9.1.2/24"), ...link("d3", "02:00:00:00:00:03", "fd09::2/64")];
  expect(await calledIn([...six, "ip -6 route add default via fd09::1"])).toBe("02:00:00:00:00:03");
});

test("one without a default route is called by a number that was made once", async () => {
  const called = await calledIn([]);
  expect(called).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(await calledIn(link("d1", "02:00:00:00:00:01", "10.9.1.2/24"))).toBe(called);
  // Of an interface without a hardware address it is that, too.
  expect(await calledIn(["ip route add default dev lo"])).toBe(called);
  expect(await readFile(join(directory, "device"), "utf8")).toBe(`${called}\n`);
});

test("the release is the kernel's, and on macOS the system's", async () => {
  expect(await systemRelease("linux")).toBe(release());
  const program = join(directory, "sw_vers");
  await writeFile(program, '#!/bin/sh\n[ "$*" = -productVersion ] && echo 15.3.1\n');
  await chmod(program, 0o700);
  expect(await systemRelease("mac", program)).toBe("15.3.1");
  expect(await systemRelease("mac", join(directory, "none"))).toBe(release());
});
