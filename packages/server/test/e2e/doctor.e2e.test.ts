import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mountSmallDisk } from "../crash/small-disk.ts";
import { openLab } from "./lab.ts";

type Finding = { id: string; state: "ok" | "warning" | "fault"; what: string; next: string | null };

test("a working server has no faults, and what is broken then is named with what to do", async () => {
  await using lab = await openLab();
  await lab.daemon.start();
  const faults = (findings: readonly Finding[]) => findings.filter(({ state }) => state === "fault");
  const well = await lab.json<Finding[]>(["doctor"]);
  expect(faults(well)).toEqual([]);
  const states = Object.fromEntries(well.map(({ id, state }) => [id, state]));
  expect(states).toMatchObject({
    daemon: "ok",
    database: "ok",
    authority: "ok",
    "certificate.office": "ok",
    "hook.connectScriptPath": expect.stringMatching(/ok|warning/),
    "listener.office.udp/1194": "ok",
    network: expect.stringMatching(/ok|warning/),
  });

  await lab.succeed(["config", "set", "auth.module.type", "ldap"]);
  const { status, stdout } = await lab.sallyport(["doctor", "--json"]);
  expect(status).toBe(1);
  const [fault] = faults(JSON.parse(stdout));
  expect(fault).toMatchObject({ id: "method.ldap", next: expect.stringContaining("sallyport config set") });
});

test("a full disk is said of the database too, for as long as it is full", async () => {
  await using lab = await openLab();
  await using disk = await mountSmallDisk(lab.dataDirectory);
  await writeFile(join(lab.dataDirectory, "sallyport.db"), "", { mode: 0o600 });
  const database = async () => {
    const { stdout } = await lab.sallyport(["doctor", "--json"]);
    return (JSON.parse(stdout) as Finding[]).find(({ id }) => id === "database");
  };
  expect(await database()).toMatchObject({ state: "ok" });
  await disk.fill();
  expect(await database()).toMatchObject({
    state: "fault",
    what: expect.stringMatching(/cannot be written: its disk is full$/),
  });
  await disk.free();
  expect(await database()).toMatchObject({ state: "ok" });
});
