import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type ConnectionEvent, hookEnvironment } from "@sallyport/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Telling } from "../../src/core/hook.ts";
import { checkProgram } from "../../src/hooks/check/check-program.ts";
import { program, runner } from "./hook.ts";

const shipped = join(import.meta.dirname, "../../../../examples/hooks");
const run = promisify(execFile);
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "hook-examples-"));
  await cp(shipped, directory, { recursive: true });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const connect: ConnectionEvent = {
  event: "C",
  eventId: "event-1",
  sessionId: "session-1",
  attempt: 1,
  userId: `O'Brien "$(reboot)" \\ ${"Zoë"}`,
  profileId: "office",
  connectionId: "laptop",
  ipFour: "10.42.0.2",
  ipSix: "fd42:1::2",
  originatingIp: "198.51.100.20",
  proto: "openvpn",
  nodeNumber: 0,
  nodeUrl: "https://vpn.example.org",
  nodeHostName: "vpn.example.org",
};
const { originatingIp: _, ...kept } = connect;
const disconnect: ConnectionEvent = {
  ...kept,
  event: "D",
  eventId: "event-2",
  bytesIn: 1_000,
  bytesOut: 2_000,
  durationSeconds: 60,
  disconnectReason: "client",
};

function tell(path: string, event: ConnectionEvent): Promise<Telling> {
  return program(path).tell(event, { deadlineMs: 20_000, abort: new AbortController().signal });
}

it("every example has nothing that `hook check` would find", async () => {
  const scripts = (await readdir(shipped)).filter((name) => /\.(sh|py)$/.test(name));
  expect(scripts.length).toBeGreaterThanOrEqual(5);
  for (const name of scripts) expect([name, await checkProgram(join(shipped, name), runner)]).toEqual([name, []]);
});

describe("docs/hooks.md", () => {
  const page = () => readFile(join(shipped, "../../docs/hooks.md"), "utf8");

  it("names each example", async () => {
    for (const name of await readdir(shipped)) expect(await page()).toContain(`examples/hooks/${name}`);
  });

  it("explains each variable, and no other", async () => {
    const everything: ConnectionEvent = {
      trigger: "handshake",
      ...connect,
      ...disconnect,
      originatingIp: "198.51.100.20",
      geoIpCc: "NL",
      geoIpUri: "geo:52,5",
    };
    const explained = [...(await page()).matchAll(/^\| `(VPN_\w+)`/gm)].map(([, name]) => name);
    expect(explained.toSorted()).toEqual(Object.keys(hookEnvironment(everything)).toSorted());
  });
});

it("log.sh appends a line of JSON for each event", async () => {
  const log = join(directory, "out.jsonl");
  await writeFile(join(directory, "log.conf"), `log_file=${log}\n`);
  for (const event of [connect, disconnect])
    expect(await tell(join(directory, "log.sh"), event)).toMatchObject({ answer: "yes", output: "" });
  const lines = (await readFile(log, "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines).toEqual([connect, disconnect].map((event) => ({ at: expect.stringMatching(/^\d{4}-.*Z$/), event })));
});

describe("notify.sh", () => {
  async function post(status: number) {
    const taken: { headers: IncomingHttpHeaders; body: string }[] = [];
    const server = createServer(async (request, response) => {
      const body = (await request.toArray()).join("");
      taken.push({ headers: request.headers, body });
      response.writeHead(status).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    await writeFile(
      join(directory, "notify.conf"),
      `url=http://127.0.0.1:${(server.address() as AddressInfo).port}/vpn\n`,
    );
    const told = await tell(join(directory, "notify.sh"), connect);
    server.close();
    return { told, taken };
  }

  it("posts the event with a key that repeats have in common", async () => {
    const { told, taken } = await post(204);
    expect(told).toMatchObject({ answer: "yes" });
    expect(taken).toHaveLength(1);
    expect(taken[0]?.headers).toMatchObject({ "idempotency-key": "event-1", "content-type": "application/json" });
    expect(JSON.parse(taken[0]?.body ?? "")).toEqual(connect);
  });

  it("has the event sent again when the service did not take it", async () => {
    expect((await post(503)).told).toMatchObject({ answer: "no", output: expect.stringContaining("503") });
  });
});

describe("office-hours.sh", () => {
  const during = (hours: string) =>
    writeFile(join(directory, "office-hours.conf"), `${hours}\nexempt=${directory}/exempt\n`);

  it("lets in during the hours and refuses outside them, saying why", async () => {
    await during("opens=0\ncloses=24");
    expect(await tell(join(directory, "office-hours.sh"), connect)).toMatchObject({ answer: "yes" });
    await during("opens=0\ncloses=0");
    expect(await tell(join(directory, "office-hours.sh"), connect)).toMatchObject({
      answer: "no",
      output: "The VPN is open from 0 to 0 o'clock.\n",
    });
  });

  it("never keeps out who is exempt, whatever the name holds, nor lets in who is only like it", async () => {
    await during("opens=0\ncloses=0");
    await writeFile(join(directory, "exempt"), `${connect.userId}\n.*\n10\n`);
    expect(await tell(join(directory, "office-hours.sh"), connect)).toMatchObject({ answer: "yes" });
    for (const userId of ["O'Brien", "anybody", "-v", "1e1", "x\n.*", ""])
      expect(await tell(join(directory, "office-hours.sh"), { ...connect, userId })).toMatchObject({ answer: "no" });
  });
});

describe.runIf(userInfo().uid === 0)("nftables-groups.sh", () => {
  const namespace = `hook-example-${process.pid}`;
  let inNamespace: string;

  beforeEach(async () => {
    await run("ip", ["netns", "add", namespace]);
    const script = join(directory, "nftables-groups.sh");
    inNamespace = join(directory, "in-namespace");
    await writeFile(inNamespace, `#!/bin/sh\nexec ip netns exec ${namespace} ${script}\n`, { mode: 0o755 });
    await writeFile(join(directory, "nftables-groups.conf"), `members=${directory}/members\n`);
    await writeFile(join(directory, "members"), `# who is where\n\naccounts   bob\nengineering\t${connect.userId}\n`);
  });
  afterEach(() => run("ip", ["netns", "delete", namespace]));

  async function elements(set: string): Promise<unknown[]> {
    const { stdout } = await run("ip", [
      "netns",
      "exec",
      namespace,
      "nft",
      "-j",
      "list",
      "set",
      "inet",
      "sallyport_groups",
      set,
    ]);
    const listed = JSON.parse(stdout).nftables.find((entry: object) => "set" in entry);
    return listed.set.elem ?? [];
  }

  it("keeps the client's addresses in its group's sets while it is connected, however often it is told", async () => {
    for (let repeat = 0; repeat < 2; repeat += 1)
      expect(await tell(inNamespace, connect)).toMatchObject({ answer: "yes", output: "" });
    expect(await elements("engineering_v4")).toEqual(["10.42.0.2"]);
    expect(await elements("engineering_v6")).toEqual(["fd42:1::2"]);
    for (let repeat = 0; repeat < 2; repeat += 1)
      expect(await tell(inNamespace, disconnect)).toMatchObject({ answer: "yes", output: "" });
    expect([await elements("engineering_v4"), await elements("engineering_v6")]).toEqual([[], []]);
  });

  it("takes a client out though it changed groups meanwhile, and leaves others in", async () => {
    await tell(inNamespace, connect);
    await tell(inNamespace, { ...connect, userId: "bob", ipFour: "10.42.0.3" });
    await writeFile(join(directory, "members"), `accounts bob\naccounts ${connect.userId}\nengineering carol\n`);
    expect(await tell(inNamespace, disconnect)).toMatchObject({ answer: "yes" });
    expect(await elements("engineering_v4")).toEqual([]);
    expect(await elements("accounts_v4")).toEqual(["10.42.0.3"]);
  });

  it("serves a client with one address", async () => {
    const { ipSix: _, ...onlyFour } = connect;
    expect(await tell(inNamespace, onlyFour)).toMatchObject({ answer: "yes" });
    expect(await elements("engineering_v6")).toEqual([]);
  });

  it("takes nobody for somebody whose name is nearly the same", async () => {
    await writeFile(join(directory, "members"), "accounts 10\naccounts alice\n");
    for (const userId of ["1e1", "10.0", "x\nalice", "ALICE", " alice"])
      expect(await tell(inNamespace, { ...connect, userId })).toMatchObject({ answer: "no" });
    expect(await tell(inNamespace, { ...connect, userId: "10" })).toMatchObject({ answer: "yes" });
  });

  it("refuses whoever is in no group, and does not fail at their disconnect", async () => {
    const stranger = { userId: "engineering alice" };
    expect(await tell(inNamespace, { ...connect, ...stranger })).toMatchObject({
      answer: "no",
      output: "No network has been set up for your account.\n",
    });
    expect(await tell(inNamespace, { ...disconnect, ...stranger })).toMatchObject({ answer: "yes", output: "" });
  });
});

it("accounting.py counts a disconnect once, however often it is told", async () => {
  const database = join(directory, "accounts.sqlite");
  await writeFile(join(directory, "accounting.json"), JSON.stringify({ database }));
  for (const attempt of [1, 2, 3])
    expect(await tell(join(directory, "accounting.py"), { ...disconnect, attempt })).toMatchObject({
      answer: "yes",
      output: "",
    });
  await tell(join(directory, "accounting.py"), { ...disconnect, eventId: "event-9", bytesIn: 5 });
  const query =
    "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('select user_id, sum(bytes_in), count(*) from sessions group by 1').fetchall() == [(sys.argv[2], 1005, 2)])";
  expect((await run("/usr/bin/python3", ["-c", query, database, connect.userId])).stdout).toBe("True\n");
});
