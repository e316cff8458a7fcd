import { execFile } from "node:child_process";
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { installLaunchd, launchdPlist, removeLaunchd } from "../../src/service/launchd.ts";

const program = "/Library/PrivilegedHelperTools/sallyport-agent";
let directory: string;
let printed: string;

beforeEach(async () => {
  directory = await mkdtemp("/var/lib/sallyport-launchd-");
  printed = "";
  await mkdir(join(directory, "daemons"));
});

afterEach(() => rm(directory, { recursive: true }));

/** What Python's reader of property lists makes of one, as macOS' own is not at hand. */
async function read(plist: string): Promise<unknown> {
  const reader = "import json, plistlib, sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";
  return await new Promise((resolve, reject) => {
    const child = execFile("python3", ["-c", reader], (error, out) =>
      error ? reject(error) : resolve(JSON.parse(out)),
    );
    child.stdin?.end(plist);
  });
}

test("launchd is told to start the service with the machine, again when it ends, and to leave it time", async () => {
  const odd = "/opt/a & <b>/openvpn";
  expect(await read(launchdPlist([program, "service", "--openvpn", odd]))).toEqual({
    Label: "org.sallyport.agent",
    ProgramArguments: [program, "service", "--openvpn", odd],
    RunAtLoad: true,
    KeepAlive: true,
    ExitTimeOut: 60,
    StandardErrorPath: "/var/log/sallyport-agent.log",
  });
});

test("the page for owners shows the very file", async () => {
  const page = await readFile(join(import.meta.dirname, "../../../../docs/agent-service.md"), "utf8");
  expect(page).toContain(`\`\`\`xml\n${launchdPlist([program, "service"])}\`\`\`\n`);
});

const around = () => ({
  machine: { policy: join(directory, "policy.json") },
  print: (text: string) => {
    printed += text;
  },
});

/** A program in launchctl's place: notes its words, and fails as it does while what was there before still ends. */
async function launchd(failures: number) {
  const launchctl = join(directory, "launchctl");
  const count = `[ "$(grep -c bootstrap ${directory}/said)" -gt ${failures} ]`;
  const text = `#!/bin/sh\necho "$*" >>${directory}/said\n${count} || { echo 'Bootstrap failed: 5: Input/output error' >&2; exit 5; }\n`;
  await writeFile(launchctl, text, { mode: 0o755 });
  return { launchctl, directory: join(directory, "daemons") };
}

const own = () => join(directory, "sallyport-agent");

test("one command installs it, one takes it away", async () => {
  await writeFile(own(), "#!/bin/sh\n", { mode: 0o755 });
  const its = await launchd(1);
  const plist = join(directory, "daemons/org.sallyport.agent.plist");
  await installLaunchd({ openVpnProgram: "/opt/openvpn", words: [own()] }, around(), its);
  expect(await readFile(plist, "utf8")).toBe(launchdPlist([own(), "service", "--openvpn", "/opt/openvpn"]));
  expect((await stat(plist)).mode & 0o777).toBe(0o644);
  const bootstrap = `bootstrap system ${plist}\n`;
  expect(await readFile(join(directory, "said"), "utf8")).toBe(
    `bootout system/org.sallyport.agent\n${bootstrap}${bootstrap}`,
  );
  expect(printed).toContain(plist);
  await removeLaunchd(around(), its);
  expect(await readdir(join(directory, "daemons"))).toEqual([]);
});

test("a program that somebody else can replace is not installed, unless the owner trusts them", async () => {
  await writeFile(own(), "#!/bin/sh\n", { mode: 0o755 });
  await chown(own(), 65_534, 0);
  const install = async () => installLaunchd({ openVpnProgram: undefined, words: [own()] }, around(), await launchd(0));
  await expect(install()).rejects.toThrow("nobody can change");
  expect(await readdir(join(directory, "daemons"))).toEqual([]);
  const policy = { tunnels: [], administratorScripts: "never", servers: [], programsOf: ["nobody"] };
  await writeFile(around().machine.policy, JSON.stringify(policy), { mode: 0o644 });
  await install();
  expect(printed).toContain("launchd runs the service");
});
