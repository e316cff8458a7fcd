import { readFile, rename, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { mmdb } from "../hooks/mmdb.ts";
import { type Child, startChild } from "./lab/child.ts";
import { inside } from "./lab/network.ts";
import { type Lab, openLab, until } from "./lab.ts";

/*
 * One device through hooks of each kind at once: a file with a grace period, a webhook to the example receiver, scripts
 * that are missing, hang and hold their output open, and the veto that the lab records.
 */

const receiver = resolve(import.meta.dirname, "../../../../examples/hooks/siem-receiver.py");
const password = "correct horse battery staple";
const graceSeconds = 300;
type Line = { event: string; sessionId: string; userId: string; disconnectReason?: string };
type Delivery = { id: string; hook: string; event: string; state: string; error: string | null; sessionId: string };

let lab: Lab;
let siem: Child;

beforeAll(async () => {
  lab = await openLab();
  const at = (name: string) => join(lab.directory, name);
  await writeFile(at("siem.key"), "hush\n", { mode: 0o600 });
  await writeFile(
    at("city.mmdb"),
    mmdb({ "198.18.0.0/16": { country: { iso_code: "NL" }, location: { latitude: 52.3, longitude: 4.9 } } }),
  );
  // Neither says what runs it, as eduVPN's scripts need not.
  await writeFile(at("hangs"), "trap '' TERM; while :; do sleep 1; done\n", { mode: 0o755 });
  await writeFile(at("holds"), "sleep 30 & echo begun\n", { mode: 0o755 });
  const retry = { attempts: 1 };
  await lab.configure({
    geoIp: { database: "city.mmdb" },
    hooks: [
      { name: "record", log: "connections.jsonl" },
      { name: "graceful", log: "graceful.jsonl", graceSeconds },
      { name: "siem", webhook: "http://127.0.0.1:8514/", secretFile: "siem.key" },
      { name: "missing", script: "missing", retry },
      { name: "hangs", script: "hangs", deadlineMs: 500, concurrency: 1, retry },
      { name: "holds", script: "holds" },
    ],
  });
  const words = ["--secret-file", at("siem.key"), "--log", at("siem.jsonl")];
  siem = await startChild(inside(lab.network.server, ["/usr/bin/python3", receiver, ...words]));
  await until("the receiver listens", () => siem.output().includes("listening"));
  await lab.daemon.start();
  await lab.addUser("alice", password);
});

afterAll(async () => {
  await siem?.end("SIGTERM");
  await lab?.[Symbol.asyncDispose]();
});

async function lines(name: string): Promise<Line[]> {
  const text = await readFile(join(lab.directory, name), "utf8").catch(() => "");
  // What is behind the last end of a line is still being written.
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

const heard = async (name: string, count: number) =>
  until(`${count} lines in ${name}`, async () => {
    const all = await lines(name);
    return all.length >= count ? all : undefined;
  });

test("each kind is told, whatever the others do; a device that is back in time was never gone for who has a grace period", async () => {
  const ovpnText = await lab.issue("alice");
  const first = await lab.client({ ovpnText, user: "alice", password });
  await first.connected();
  const { ipv4 } = await first.addresses();
  await first.stop();
  await heard("connections.jsonl", 2);

  const second = await lab.client({ ovpnText, user: "alice", password });
  await second.connected();
  expect((await second.addresses()).ipv4).toBe(ipv4);
  // Killed, the server knows nothing of its end: the third replaces it.
  await second.kill();
  await heard("siem.jsonl", 1);
  await rename(join(lab.directory, "siem.jsonl"), join(lab.directory, "siem.1.jsonl"));
  const third = await lab.client({ ovpnText, user: "alice", password });
  await third.connected();
  expect((await third.addresses()).ipv4).toBe(ipv4);

  const all = await heard("connections.jsonl", 5);
  expect(all.map(({ event, disconnectReason }) => disconnectReason ?? event)).toEqual(
    expect.arrayContaining(["client", "replaced"]),
  );
  const [own] = await heard("graceful.jsonl", 1);
  expect(own).toMatchObject({ event: "C", userId: "alice", geoIpCc: "NL", geoIpUri: "geo:52.3,4.9" });
  await lab.succeed(["connection", "kill", "--user", "alice"]);
  const graceful = await heard("graceful.jsonl", 2);
  expect(graceful).toMatchObject([
    { event: "C", sessionId: own?.sessionId },
    { event: "D", sessionId: own?.sessionId, disconnectReason: "admin" },
  ]);
  expect(await heard("connections.jsonl", 6)).toHaveLength(6);
  const told = [...(await lines("siem.1.jsonl")), ...(await heard("siem.jsonl", 1))];
  expect(new Set(told.map(({ event, sessionId }) => `${event} ${sessionId}`)).size).toBe(told.length);
  await until("the webhook has heard all six", async () => {
    return (await lines("siem.1.jsonl")).length + (await lines("siem.jsonl")).length === 6;
  });

  const veto = await lab.hook.called(({ environment }) => environment.VPN_EVENT === "C", { count: 3 });
  expect(veto[0]?.environment).toMatchObject({ VPN_GEO_IP_CC: "NL", VPN_GEO_IP_URI: "geo:52.3,4.9" });
});

test("what could not be told is kept with its reason until somebody decides", async () => {
  const failed = await until("what could not be told is given up", async () => {
    const given = await lab.json<Delivery[]>(["hook", "deliveries", "--failed"]);
    return given.length >= 12 ? given : undefined;
  });
  const of = (hook: string) => failed.filter((one) => one.hook === hook);
  expect(of("missing")[0]?.error).toContain("does not exist");
  expect(of("hangs")[0]?.error).toMatch(/hangs did not end within \d+ ms and was killed/);
  expect(new Set(failed.map(({ hook }) => hook))).toEqual(new Set(["missing", "hangs"]));

  const [one] = of("missing").filter(({ event }) => event === "disconnect");
  await lab.succeed(["hook", "discard", one?.id ?? ""]);
  const again = await lab.sallyport(["hook", "retry", one?.id ?? ""]);
  expect([again.status, again.stderr]).toEqual([1, expect.stringContaining("is discarded")]);
  const left = await lab.json<Delivery[]>(["hook", "deliveries", "--failed", "--hook", "missing"]);
  expect(left.map(({ id }) => id)).not.toContain(one?.id);
  for (const name of ["record", "siem", "holds"]) expect((await lab.sallyport(["hook", "test", name])).status).toBe(0);
  expect((await lab.sallyport(["hook", "test", "missing"])).status).toBe(1);
  const doctor = await lab.sallyport(["doctor"]);
  expect(doctor.stdout).toMatch(/city\.mmdb is Test-City/);
});
