import { chmod, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type ClientScript, sha256 } from "@sallyport/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../../server/test/waiting.ts";
import { script } from "../scripts/pretend-server.ts";
import { writeOffer } from "./owners-offer.ts";
import { openWine, type Wine, type WineChild } from "./wine.ts";

/*
 * The service of Windows at its pipe, and programs of users'. Wine has one account, and files of one owner; it does not
 * heed who may make instances of a pipe: what needs more than that is in the tables of judge-descriptor.test.ts.
 */

let wine: Wine;
let service: WineChild;
let clients: string;

beforeAll(async () => {
  wine = await openWine();
  clients = await wine.bundle(resolve(import.meta.dirname, "programs/service-clients.ts"));
  await writeOffer(wine.drive, scripts);
  service = await startService();
});

afterAll(() => wine?.[Symbol.asyncDispose]());

const words = "n=%N_RECONNECTS% g=%GRACEFUL_DISCONNECT% ip=%VPN_IP_FOUR% user=%VPN_USER_ID%";
const adminScript = (event: "connect" | "disconnect", changes: Partial<ClientScript> = {}) =>
  script({
    name: `${event}.cmd`,
    event,
    privilege: "admin",
    platform: "win",
    text: `@echo ${event} %USERNAME% ${words}>>C:\\record.txt\r\n`,
    ...changes,
  });
const scripts = [
  adminScript("connect"),
  adminScript("connect", { name: "evil.cmd", environment: { PREPATH: "C:\\shared" }, text: "@foo\r\n" }),
  adminScript("disconnect"),
];
const [asked = "", evil = "", last = ""] = scripts.map(({ text }) => sha256(text));

const policy = () => join(wine.drive, "ProgramData/sallyport-agent/policy.json");
const recorded = () => readFile(join(wine.drive, "record.txt"), "utf8").catch(() => "");

const startService = async () => await listening(await wine.startAgent(["service"]));

async function listening(started: WineChild): Promise<WineChild> {
  await until("the service to listen", () => /listening at/.test(started.output()), {
    deadlineMs: 90_000,
    otherwise: started.output,
  });
  return started;
}

async function does(scenario: string, ...more: string[]): Promise<Record<string, unknown> & string> {
  const { status, stdout, said } = await wine.run(wine.node, [clients, scenario, ...more]);
  expect([status, said]).toEqual([0, expect.stringContaining(String(stdout))]);
  return JSON.parse(String(stdout));
}

async function owner(...args: string[]): Promise<string> {
  const { status, said } = await wine.agent(["trust", "--administrator", ...args]);
  expect([status, said]).toEqual([0, expect.anything()]);
  return said;
}

test("without the owner's word the service does nothing for anybody, and says how they would give it", async () => {
  expect(await does("tunnel")).toMatch(
    /does not let root bring tunnels up; they would: sallyport-agent trust --administrator --tunnels NAME,… \(in a terminal opened with `Run as administrator`\)/,
  );
  expect(await owner("--add", "C:\\office.ovpn", "--mode", "ask", "--tunnels", "root")).toContain("tunnels");
});

test("an administrator script runs with the owner's word, for whoever hands in the bundle that was just asked for", async () => {
  const not = expect.stringMatching(/the machine's owner has not allowed it yet/);
  expect(await does("offer", "C:\\offer.json")).toMatchObject({ taken: "taken", reports: [{ detail: not }, {}] });
  expect(await recorded()).toBe("");
  expect(await owner()).toContain(asked);
  await mkdir(join(wine.drive, "shared"));
  await chmod(join(wine.drive, "shared"), 0o777);
  await owner("--script", asked, "--mode", "trust");
  expect(await does("offer", "C:\\offer.json")).toEqual({
    forged: { refused: expect.stringMatching(/no server that the machine's owner trusts/) },
    taken: "taken",
    reports: [
      expect.objectContaining({ sha256: asked, outcome: "ran", exitCode: 0 }),
      expect.objectContaining({ sha256: evil, detail: expect.stringMatching(/everybody may write to it/) }),
    ],
    twice: [],
    replayed: { refused: expect.stringMatching(/was not asked for by this machine, or was offered before/) },
    elsewhere: { refused: expect.stringMatching(/was not asked for by this machine, or was offered before/) },
  });
  // That the connection ended the service saw for itself.
  await until("the disconnect script", async () => /^disconnect/m.test(await recorded()), {
    otherwise: service.output,
  });
  expect(await recorded()).toBe(
    "connect root n=2 g=1 ip=127.0.0.1 user=alice\r\ndisconnect root n=2 g=0 ip=127.0.0.1 user=alice\r\n",
  );
  expect(last).not.toBe("");
  const left = () => readdir(join(wine.drive, "ProgramData/sallyport-agent/scripts"));
  await until("nothing to be left of the scripts", async () => (await left()).length === 0, {
    otherwise: service.output,
  });
});

test("a policy that others could have written is not believed, by the service or by its owner's commands", async () => {
  await chmod(policy(), 0o666);
  expect(await does("refused", "C:\\offer.json")).toMatch(
    /policy.json may have been written by somebody else: everybody/,
  );
  await chmod(policy(), 0o644);
  await chmod(join(policy(), ".."), 0o777);
  const { status, said } = await wine.agent(["trust", "--administrator", "--mode", "never"]);
  expect([status, said]).toEqual([
    1,
    expect.stringMatching(/of C:\\ProgramData\\sallyport-agent, everybody may write/),
  ]);
  await chmod(join(policy(), ".."), 0o700);
});

test("clients that say nothing, go at once, say too much or come too often keep nobody from it, and leave nothing open", async () => {
  const open = async () => (await readdir(`/proc/${service.pid}/fd`)).length;
  const before = await open();
  expect(await does("neighbours")).toEqual({ flooded: "closed", turnedAway: "closed" });
  expect(service.output()).toMatch(/turned away: too many connections of S-1-5-21-0-0-0-1000/);
  await until("all of them to be gone", async () => (await open()) <= before + 2, { otherwise: service.output });
});

test("whoever sits at the pipe in the service's place is told nothing", async () => {
  await service.kill();
  expect(await does("squatted")).toEqual({
    said: expect.stringMatching(/is not this machine's service.*Nothing was told to it/),
    told: "",
  });
  await rm(join(wine.drive, "record.txt"), { force: true });
  // The one that was killed is no hindrance to the next.
  service = await startService();
  expect(await does("refused", "C:\\offer.json")).toBe("taken");
});

test("whom Windows does not tell the service of is turned away, and the log says why", async () => {
  await service.kill();
  const program = await wine.bundle(resolve(import.meta.dirname, "programs/service-that-knows-nobody.ts"));
  service = await listening(await wine.start(wine.node, [program]));
  expect(await does("tunnel")).toMatch(/^The privileged service of this machine is gone\./);
  expect(service.output()).toMatch(
    /nobody knows who is at \S+sallyport-agent: ImpersonateNamedPipeClient: not before something was read \(1368\)/,
  );
  expect(service.output()).toContain("somebody was turned away: nobody knows who");
});
