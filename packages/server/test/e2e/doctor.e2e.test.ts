import { expect, test } from "vitest";
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
