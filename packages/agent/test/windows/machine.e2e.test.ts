import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { gatewayHardwareAddress } from "../../src/machine/device.ts";
import { openWine, type Wine } from "./wine.ts";

let wine: Wine;
beforeAll(async () => {
  wine = await openWine();
});
afterAll(() => wine?.[Symbol.asyncDispose]());

const uninstall = "Software\\Microsoft\\Windows\\CurrentVersion\\Uninstall";

test("the host check finds what is in the registry: both kinds of programs and the account's own, in any letters", async () => {
  const installed: [key: string, name: string, ...values: (readonly [string, string])[]][] = [
    [`HKLM\\${uninstall}\\Zürich`, "Zürich Wörterbuch Ω™", ["DisplayVersion", "7.1"]],
    [
      `HKLM\\Software\\Wow6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\Old`,
      "Old Tool",
      ["DisplayVersion", "1.0"],
    ],
    [`HKCU\\${uninstall}\\Zoom`, "Zoom", ["DisplayVersion", "6.2.3 (47507)"]],
    [`HKCU\\${uninstall}\\Bare`, "Bare"],
    [`HKCU\\${uninstall}\\One`, "Twin one", ["DisplayVersion", "1"]],
    [`HKCU\\${uninstall}\\Two`, "Twin two", ["DisplayVersion", "2"]],
    [`HKLM\\${uninstall}\\KB1`, "Update", ["ParentKeyName", "Zürich"]],
  ];
  const lines = installed.flatMap(([key, name, ...values]) =>
    [["DisplayName", name] as const, ...values].map(([value, data]) => `reg add "${key}" /v ${value} /d "${data}" /f`),
  );
  lines.push(`reg add "HKLM\\${uninstall}\\Part" /v DisplayName /d Part /f`);
  lines.push(`reg add "HKLM\\${uninstall}\\Part" /v SystemComponent /t REG_DWORD /d 1 /f`);
  for (const line of lines) {
    const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
    expect((await wine.run("reg.exe", words.slice(1))).status).toBe(0);
  }
  const asked = ["Z=^Zürich .* Ω", "OLD=^Old Tool$", "ZOOM=^Zoom$", "BARE=^Bare$", "TWIN=^Twin", "PART=^Part$"];
  const program = await wine.bundle(join(import.meta.dirname, "programs/tell-machine.ts"));
  const { stdout, said } = await wine.run(wine.node, [program, ...asked, "U=^Update$", "BAD=(", "mac:NO=^Zoom$"]);
  expect(said).toBe(String(stdout));
  const { answers, address } = JSON.parse(String(stdout));
  expect(answers).toEqual({
    UV_APPVER_Z: "7.1",
    UV_APPVER_OLD: "1.0",
    UV_APPVER_ZOOM: "6.2.3_(47507)",
    UV_APPVER_BARE: "ERR_NO_VERSION",
    UV_APPVER_TWIN: "ERR_MANY_FOUND",
    UV_APPVER_PART: "ERR_NOT_FOUND",
    UV_APPVER_U: "ERR_NOT_FOUND",
    UV_APPVER_BAD: "ERR_REGEX",
  });
  expect(address).toBe(await gatewayHardwareAddress());
});

test("nothing that is said to people there speaks of sudo", async () => {
  const { status, said } = await wine.agent(["run-script", "--event", "connect", "C:\\none.cmd"]);
  expect([status, said]).toEqual([
    8,
    expect.stringContaining("You are an administrator, and the script would be too."),
  ]);
  expect((await wine.agent(["status"])).said).toBe("not connected\n");
  expect((await wine.agent(["trust"])).said).not.toMatch(/sudo|root/);
});
