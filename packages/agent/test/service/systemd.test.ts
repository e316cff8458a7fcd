import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { installSystemd, removeSystemd, systemdUnit } from "../../src/service/systemd.ts";

/** A systemd that writes down what it is told. */
let directory: string;
let systemd: { systemctl: string; directory: string; running: string };
let program: string;
const printed: string[] = [];
const around = { print: (text: string) => void printed.push(text) };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "systemd-"));
  systemd = { systemctl: join(directory, "systemctl"), directory: join(directory, "units"), running: directory };
  await mkdir(systemd.directory);
  await tells("exit 0");
  program = join(directory, "sallyport-agent");
  await writeFile(program, "", { mode: 0o755 });
  printed.length = 0;
});
afterEach(() => rm(directory, { recursive: true }));

async function tells(outcome: string): Promise<void> {
  await writeFile(systemd.systemctl, `#!/bin/sh\necho "$*" >> ${directory}/told\n${outcome}\n`, { mode: 0o755 });
}
const told = async () => (await readFile(join(directory, "told"), "utf8")).trimEnd().split("\n");

test("the service is started now, anew if it ran, and with the machine; and ends and is forgotten", async () => {
  await installSystemd({ openVpnProgram: "/opt/openvpn", words: [program] }, around, systemd);
  const unit = await readFile(join(systemd.directory, "sallyport-agent.service"), "utf8");
  expect(unit).toContain(`\nExecStart=${program} service --openvpn /opt/openvpn\n`);
  expect(await told()).toEqual(["daemon-reload", "enable sallyport-agent.service", "restart sallyport-agent.service"]);
  expect(printed.join("")).toContain("journalctl -u sallyport-agent.service");
  await removeSystemd(around, systemd);
  expect((await told()).slice(3)).toEqual(["disable --now sallyport-agent.service", "daemon-reload"]);
  expect(await readdir(systemd.directory)).toEqual([]);
});

test("the page for owners shows the very file", async () => {
  const page = await readFile(join(import.meta.dirname, "../../../../docs/agent-service.md"), "utf8");
  const unit = systemdUnit(["/usr/local/lib/sallyport-agent/sallyport-agent", "service"]);
  expect(page).toContain(`\`\`\`ini\n# /etc/systemd/system/sallyport-agent.service\n${unit}\`\`\`\n`);
});

test("what somebody else could change does not become root's", async () => {
  await chmod(program, 0o777);
  await expect(installSystemd({ openVpnProgram: undefined, words: [program] }, around, systemd)).rejects.toThrow(
    `Root would run ${program}, and everybody can change ${program}.`,
  );
  expect(await readdir(systemd.directory)).toEqual([]);
});

test("what systemd says against it is told, and where it does not run the system that", async () => {
  await tells("echo 'Unit is masked.' >&2; exit 1");
  const install = (running: string) =>
    installSystemd({ openVpnProgram: undefined, words: [program] }, around, { ...systemd, running });
  await expect(install(directory)).rejects.toThrow("systemctl daemon-reload: Unit is masked.");
  await expect(install(join(directory, "nothing"))).rejects.toThrow("systemd does not run this system.");
});

test.each([
  [["/usr/bin/node", "/opt/a b/agent.js"], '/usr/bin/node "/opt/a b/agent.js"'],
  [["/opt/100%/a$b"], "/opt/100%%/a$$b"],
  [['/opt/a"b', "/opt/a\\b", "/opt/it's"], '"/opt/a\\"b" "/opt/a\\\\b" "/opt/it\'s"'],
])("to systemd the words %j mean themselves", (words, line) => {
  expect(systemdUnit(words)).toContain(`\nExecStart=${line}\n`);
});
