import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startChild } from "./lab/child.ts";
import type { ConnectionRow } from "./lab/ledger.ts";
import { type LightClient, lightClients } from "./lab/light-clients.ts";
import { inside } from "./lab/network.ts";
import { type Lab, openLab, until } from "./lab.ts";

/** Whoever is called waiting-… waits, and says so by a file, until there is a file `released`. */
const script = `
import os, time
from pyovpn.plugin import *
AUTH_NULL = True

def post_auth(authcred, attributes, authret, info):
    user = authcred["username"]
    if user.startswith("waiting-"):
        open(user, "w").close()
        while not os.path.exists("released"):
            time.sleep(0.1)
    authret["status"] = SUCCEED
    return authret
`;

const config = { connectScriptPath: undefined, scripts: { deadlineMs: 50_000 } };

/** Where scripts run. */
const scriptsOf = (lab: Lab) => join(lab.dataDirectory, "scripts");

async function prepare(lab: Lab) {
  const file = join(lab.directory, "waiting.py");
  await writeFile(file, script);
  await lab.succeed(["post-auth", "add", "waiting", file]);
  await lab.succeed(["post-auth", "activate", "waiting"]);
  const ovpnText = await lab.succeed(["client-config", "issue", "--kind", "server-locked", "--profile", "office"]);
  return lightClients(lab, ovpnText);
}

const waitingNow = async (lab: Lab) =>
  (await readdir(scriptsOf(lab))).filter((name) => name.startsWith("waiting-")).length;

const release = (lab: Lab) => writeFile(join(scriptsOf(lab), "released"), "");

const outcomesOf = async (clients: readonly LightClient[]) =>
  (await Promise.all(clients.map(({ done }) => done))).map(({ outcome }) => outcome);

const timesOver = (count: number, outcome: string) => new Array<string>(count).fill(outcome);

test("sixty sign-ins that wait in a script hold nobody else up", async () => {
  await using lab = await openLab({ config });
  await lab.daemon.start();
  const light = await prepare(lab);
  let oneIsThrough = false;
  const waiting = Array.from({ length: 60 }, (_, i) => light.start(`waiting-${i}`));
  for (const { done } of waiting) {
    void done.then(() => {
      oneIsThrough = true;
    });
  }
  const logs = () => waiting.at(-1)?.log() ?? "";
  await until("sixty to wait", async () => (await waitingNow(lab)) === 60, { deadlineMs: 40_000, otherwise: logs });
  const others = await light.all(["anna", "berta", "carl"], 3);
  expect(others.map(({ outcome }) => outcome)).toEqual(timesOver(3, "connected"));
  expect(oneIsThrough).toBe(false);
  await release(lab);
  expect(await outcomesOf(waiting)).toEqual(timesOver(60, "connected"));
});

test("beyond the bound of attempts everybody is told to come back, and comes in later", async () => {
  await using lab = await openLab({ config });
  const program = join(import.meta.dirname, "lab", "bounded-daemon.ts");
  const daemon = await startChild(inside(lab.network.server, [process.execPath, program, lab.configFile, "8"]));
  await until("the daemon to answer", async () => (await lab.sallyport(["connection", "list"])).status === 0, {
    otherwise: () => daemon.output(),
  });
  const light = await prepare(lab);
  const users = Array.from({ length: 24 }, (_, i) => `waiting-${i}`);
  const clients = users.map((user) => light.start(user, { perseveres: true }));
  const sentBack = () => clients.filter((client) => /AUTH_FAILED,TEMP\[backoff \d+\]/.test(client.log())).length;
  await until("the others to be sent back", () => sentBack() === 16, {
    deadlineMs: 40_000,
    otherwise: () => `${sentBack()} were sent back\n${clients.map((client) => client.log()).join("\n")}`,
  });
  // Not one more, though everybody else comes again and again.
  await until("eight to wait", async () => (await waitingNow(lab)) >= 8);
  expect(await waitingNow(lab)).toBe(8);
  await release(lab);
  expect(await outcomesOf(clients)).toEqual(timesOver(24, "connected"));
  const rows = await lab.json<ConnectionRow[]>(["connection", "list"]);
  expect(rows.map(({ userId }) => userId).toSorted()).toEqual(users.toSorted());
  await daemon.end("SIGTERM");
  expect(daemon.exited()?.status).toBe(0);
});
