import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openAuthority } from "../../src/client-configs/authority.ts";
import { inProcess } from "../cli/sallyport.ts";

let directory: string;
let config: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "doctor-"));
  config = join(directory, "sallyport.yaml");
});

afterEach(async () => await rm(directory, { recursive: true, force: true }));

type Finding = { id: string; state: "ok" | "warning" | "fault"; what: string; next: string | null };

const managed = { id: "office", openvpn: { managed: {} }, ranges: { ipv4: "10.42.0.0/20" } };

async function configure(more: Record<string, unknown> = {}): Promise<void> {
  const whole = {
    dataDirectory: join(directory, "data"),
    node: { hostName: "127.0.0.1" },
    profiles: [managed],
    ...more,
  };
  await writeFile(config, JSON.stringify(whole));
}

async function doctor(...args: string[]): Promise<{ status: number | null; of: (id: string) => Finding[] }> {
  const { status, stdout } = await inProcess(["doctor", "--json", ...args], { config });
  const findings = JSON.parse(stdout) as Finding[];
  // Whatever is not as it should be comes with what to do about it.
  expect(findings.filter(({ state, next }) => (state === "ok") !== (next === null))).toEqual([]);
  return { status, of: (id) => findings.filter((one) => one.id === id) };
}

test("without a daemon it says what it could not check, and checks the rest", async () => {
  await configure();
  const { status, of } = await doctor();
  expect(of("daemon")).toMatchObject([{ state: "warning", what: expect.stringContaining("not checked: listeners") }]);
  expect(of("openvpn")).toMatchObject([{ state: "ok", what: expect.stringContaining("OpenVPN 2.") }]);
  expect(of("python")).toMatchObject([{ state: "ok" }]);
  expect(of("data-directory")).toMatchObject([{ state: "fault", next: expect.stringContaining("setup") }]);
  expect(of("host-name")).toMatchObject([{ state: "fault", what: expect.stringContaining("their own machine") }]);
  expect(status).toBe(1);
});

test("faults of the configuration are named with their lines", async () => {
  await writeFile(config, "dataDirectory: /d\nprofles: []\n");
  const { of } = await doctor();
  expect(of("config")).toMatchObject([{ state: "fault", what: expect.stringContaining("line 2, column 1: profles") }]);
});

test("a data directory that others can write is a fault, and one that others may pass through is none", async () => {
  await configure();
  await mkdir(join(directory, "data"));
  await chmod(join(directory, "data"), 0o777);
  expect((await doctor()).of("data-directory")).toMatchObject([
    { state: "fault", next: expect.stringMatching(/^chmod/) },
  ]);
  await chmod(join(directory, "data"), 0o711);
  const { of } = await doctor();
  expect(of("data-directory")).toMatchObject([{ state: "ok" }]);
  expect(of("free-space").length).toBe(1);
  expect(of("database")).toMatchObject([{ state: "warning", what: expect.stringContaining("not there yet") }]);
});

test("a certificate that has ended is a fault", async () => {
  await configure();
  const then = new Date();
  then.setUTCFullYear(then.getUTCFullYear() - 11);
  const authority = await openAuthority({ directory: join(directory, "data", "pki"), now: () => then });
  await authority.serverFiles("office");
  const { of } = await doctor();
  expect(of("authority")).toMatchObject([{ state: "ok" }]);
  expect(of("certificate.office")).toMatchObject([{ state: "fault", what: expect.stringContaining("ended on") }]);
});

test("of several certificates of a server the one that it serves with is looked at", async () => {
  await configure();
  const pki = join(directory, "data", "pki");
  const yearsFromNow = (years: number) => new Date(Date.now() + years * 365 * 86_400_000);
  const made = async (years: number) =>
    (await openAuthority({ directory: pki, now: () => yearsFromNow(years) })).serverFiles("office");
  await made(0);
  await made(9.1);
  expect((await doctor()).of("certificate.office")).toMatchObject([{ state: "ok" }]);
});

test("hooks are looked at, each fault with its line", async () => {
  const script = join(directory, "hook.sh");
  await writeFile(script, "#!/bin/sh\nif true; then\n", { mode: 0o755 });
  await configure({ hooks: [{ name: "firewall", script }] });
  const { of } = await doctor();
  expect(of("hook.firewall")).toMatchObject([{ state: "fault", what: expect.stringContaining(script) }]);
});

test("a server to attach to is looked for: its socket, its configuration", async () => {
  const socket = join(directory, "run", "m.sock");
  await configure({ profiles: [{ ...managed, openvpn: { attach: `unix:${socket}` } }] });
  const missing = await doctor();
  expect(missing.of("office.config")).toMatchObject([{ state: "warning" }]);
  expect(missing.of("office.socket")).toMatchObject([{ state: "fault", next: expect.stringContaining("install -d") }]);
  expect(missing.of("office.management")).toMatchObject([{ state: "fault" }]);

  await mkdir(join(directory, "run"), { mode: 0o700 });
  const server = createServer().listen(socket);
  const file = join(directory, "office.conf");
  await writeFile(file, `dev tun\nmanagement ${socket} unix\n`);
  const { of } = await doctor("--openvpn-config", file);
  server.close();
  expect(of("office.socket")).toMatchObject([{ state: "ok" }]);
  expect(of("office.management").map(({ state }) => state)).toEqual(["ok", "ok"]);
  expect(of("office.management-client-auth")).toMatchObject([{ state: "fault", next: "Add: management-client-auth" }]);
  expect((await doctor("--openvpn-config", "/nonexistent")).of("openvpn-config")).toMatchObject([{ state: "fault" }]);
});
