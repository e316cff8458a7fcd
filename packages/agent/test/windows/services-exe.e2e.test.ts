import { chmod, cp, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ClientScript } from "@sallyport/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../../server/test/waiting.ts";
import { script } from "../scripts/pretend-server.ts";
import { writeOffer } from "./owners-offer.ts";
import { openWine, type Wine } from "./wine.ts";

/** Windows' own list of services (Wine's services.exe), and the agent where its owner would put it. */
let wine: Wine;
const own = "C:\\Program Files\\sallyport agent";
const kept = "C:\\ProgramData\\sallyport-agent";
const [node, program] = [`${own}\\node.exe`, `${own}\\installed.js`];

beforeAll(async () => {
  wine = await openWine();
  const directory = onDisk(own);
  await cp(dirname(onDisk(wine.agentProgram)), directory, { recursive: true, dereference: true });
  await cp(onDisk(wine.node), join(directory, "node.exe"));
  // Wine ends its services with the last program that is none.
  await wine.start(wine.node, ["-e", "setInterval(() => {}, 1000)"]);
});
afterAll(() => wine?.[Symbol.asyncDispose]());

test("the owner's one command has it run now and with the machine, as SYSTEM, by a line in which every word is quoted", async () => {
  expect(await agent("service", "--install")).toMatchObject({ status: 0, said: expect.stringContaining("runs") });
  expect(await state()).toEqual(["RUNNING", 0, 0]);
  const { said } = await wine.run("reg.exe", ["query", "HKLM\\System\\CurrentControlSet\\Services\\sallyport-agent"]);
  expect(said).toContain(`"${node}" "${program}" "service"`);
  expect(said).toMatch(/ObjectName +REG_SZ +LocalSystem/);
  expect(said).toMatch(/Start +REG_DWORD +0x2\b/);
  expect(await log()).toEqual(["listening at \\\\.\\pipe\\sallyport-agent"]);
});

test("said again it is started anew, which a newer program needs", async () => {
  expect(await agent("service", "--install")).toMatchObject({ status: 0 });
  expect(await state()).toEqual(["RUNNING", 0, 0]);
  expect(await log()).toHaveLength(2);
});

test("asked to stop it runs first what is owed to whoever is connected, and is no failure", async () => {
  const [connects, disconnects] = (["connect", "disconnect"] as const).map((event) =>
    script({
      name: `${event}.cmd`,
      event,
      privilege: "admin",
      platform: "win",
      text: `@echo ${event} %GRACEFUL_DISCONNECT%>>C:\\record.txt\r\n`,
    }),
  );
  await writeOffer(wine.drive, [connects, disconnects] as ClientScript[]);
  const word = await agent("trust", "--administrator", "--add", "C:\\office.ovpn", "--mode", "trust");
  expect(word).toMatchObject({ status: 0 });
  const clients = await wine.bundle(join(import.meta.dirname, "programs/service-clients.ts"));
  const client = await wine.start(wine.node, [clients, "stays", "C:\\offer.json"]);
  const record = () => readFile(join(wine.drive, "record.txt"), "utf8").catch(() => "");
  await until("the connect script", async () => (await record()).startsWith("connect"), { otherwise: client.output });
  await wine.run("sc.exe", ["stop", "sallyport-agent"]);
  await until("the service to stop", async () => (await state())?.[0] === "STOPPED");
  expect(await state()).toEqual(["STOPPED", 0, 0]);
  expect(await record()).toBe("connect \r\ndisconnect 0\r\n");
  await until("the client to see it", () => client.output().includes("is gone"));
});

test("where it cannot start the owner is told, and the list of services has a code", async () => {
  // Whoever made the directory first could write what is believed later.
  await chmod(onDisk(kept), 0o777);
  expect(await agent("service", "--install")).toMatchObject({
    status: 1,
    said: expect.stringMatching(/installed, and stopped \(1\).*\n.*service\.log and the event viewer/),
  });
  expect(await state()).toEqual(["STOPPED", 1066, 1]);
  await chmod(onDisk(kept), 0o700);
});

test("what others than administrators could replace is not installed", async () => {
  // Where this test lies everybody may put something in the place of the directories of others.
  expect(await wine.agent(["service", "--install"])).toMatchObject({
    status: 8,
    said: expect.stringContaining("others than administrators could change what that does"),
  });
  expect(await state()).toEqual(["STOPPED", 1066, 1]);
});

test("removed it is gone from the list, and what was allowed is left", async () => {
  expect(await agent("service", "--remove")).toMatchObject({ status: 0, said: expect.stringContaining("is gone") });
  expect(await state()).toBeUndefined();
  expect(await agent("service", "--remove")).toMatchObject({ status: 1, said: expect.stringContaining("no service") });
  expect(await log()).not.toEqual([]);
});

test("the service has its time to end, while services.exe sees that it lives", async () => {
  const hosted = await wine.bundle(join(import.meta.dirname, "programs/hosted-service.ts"));
  const line = `"${wine.node}" "${hosted}" C:\\told`;
  await wine.run("sc.exe", ["create", "sallyport-agent", "binPath=", line]);
  await wine.run("sc.exe", ["start", "sallyport-agent"]);
  await until("the service to run", async () => (await state())?.[0] === "RUNNING");
  await wine.run("sc.exe", ["stop", "sallyport-agent"]);
  await until("the service to be stopping", async () => (await state())?.[0] === "STOP_PENDING");
  await writeFile(join(wine.drive, "told.end"), "");
  await until("the service to stop", async () => (await state())?.[0] === "STOPPED");
  expect(await state()).toEqual(["STOPPED", 0, 0]);
  expect(await readFile(join(wine.drive, "told"), "utf8")).toBe("closing closed 0");
});

function agent(...args: string[]) {
  return wine.run(node, [program, ...args]);
}

/** State, exit code and the service's own exit code; undefined where it is not in the list. */
async function state(): Promise<[string, number, number] | undefined> {
  const { said } = await wine.run("sc.exe", ["query", "sallyport-agent"]);
  const found = /STATE +: \d+ +(\w+)\s+WIN32_EXIT_CODE +: (\d+).*\s+SERVICE_EXIT_CODE +: (\d+)/.exec(said);
  return found === null ? undefined : [found[1] ?? "", Number(found[2]), Number(found[3])];
}

/** What it wrote as a service, without the times. */
async function log(): Promise<string[]> {
  const text = await readFile(onDisk(`${kept}\\service.log`), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^\S+ /, ""));
}

/** Where a path of that Windows is on this machine. */
function onDisk(path: string): string {
  const rest = path.slice(2).replaceAll("\\", "/");
  return path.startsWith("C:") ? join(wine.drive, rest) : rest;
}
