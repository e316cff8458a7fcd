import { writeFile } from "node:fs/promises";
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
/** Where Windows keeps what 32-bit programs enter there. */
const uninstallOf32 = uninstall.replace("Software\\", "Software\\Wow6432Node\\");

test("the host check finds what is in the registry: both kinds of programs and the account's own, in any letters", async () => {
  const keys: Record<string, Record<string, string | number>> = {
    [`HKEY_LOCAL_MACHINE\\${uninstall}\\Zürich`]: { DisplayName: "Zürich Wörterbuch Ω™", DisplayVersion: "7.1" },
    [`HKEY_LOCAL_MACHINE\\${uninstallOf32}\\Old`]: { DisplayName: "Old Tool", VersionMajor: 1, VersionMinor: 20 },
    [`HKEY_CURRENT_USER\\${uninstall}\\Zoom`]: { DisplayName: "Zoom", DisplayVersion: "6.2.3 (47507)" },
    [`HKEY_CURRENT_USER\\${uninstall}\\Bare`]: { DisplayName: "Bare" },
    [`HKEY_CURRENT_USER\\${uninstall}\\One`]: { DisplayName: "Twin one", DisplayVersion: "1" },
    [`HKEY_CURRENT_USER\\${uninstall}\\Two`]: { DisplayName: "Twin two", DisplayVersion: "2" },
    [`HKEY_LOCAL_MACHINE\\${uninstall}\\KB1`]: { DisplayName: "Update", ParentKeyName: "Zürich" },
    [`HKEY_LOCAL_MACHINE\\${uninstall}\\Part`]: { DisplayName: "Part", SystemComponent: 1 },
  };
  const dword = (value: number) => `dword:${value.toString(16).padStart(8, "0")}`;
  const lines = Object.entries(keys).flatMap(([key, values]) => [
    `[${key}]`,
    ...Object.entries(values).map(
      ([name, value]) => `"${name}"=${typeof value === "number" ? dword(value) : `"${value}"`}`,
    ),
    "",
  ]);
  const file = ["Windows Registry Editor Version 5.00", "", ...lines].map((line) => `${line}\r\n`).join("");
  await writeFile(join(wine.drive, "installed.reg"), `\uFEFF${file}`, "utf16le");
  expect((await wine.run("reg.exe", ["import", "C:\\installed.reg"])).status).toBe(0);
  const asked = ["Z=^Zürich .* Ω", "OLD=^Old Tool$", "ZOOM=^Zoom$", "BARE=^Bare$", "TWIN=^Twin", "PART=^Part$"];
  const program = await wine.bundle(join(import.meta.dirname, "programs/tell-machine.ts"));
  const { stdout, said } = await wine.run(wine.node, [program, ...asked, "U=^Update$", "BAD=(", "mac:NO=^Zoom$"]);
  expect(said).toBe(String(stdout));
  const { answers, address } = JSON.parse(String(stdout));
  expect(answers).toEqual({
    UV_APPVER_Z: "7.1",
    UV_APPVER_OLD: "1.20",
    UV_APPVER_ZOOM: "6.2.3_(47507)",
    UV_APPVER_BARE: "ERR_NO_VERSION",
    UV_APPVER_TWIN: "ERR_MANY_FOUND",
    UV_APPVER_PART: "ERR_NOT_FOUND",
    UV_APPVER_U: "ERR_NOT_FOUND",
    UV_APPVER_BAD: "ERR_REGEX",
  });
  expect(address).toBe(await gatewayHardwareAddress());
});

test("where Windows and its programs are is asked of Windows, whatever a user has set for what they start", async () => {
  const names = ["SystemRoot", "windir", "ProgramFiles", "ProgramW6432", "ProgramData"];
  await writeFile(join(wine.drive, "tell.cmd"), `@echo ${names.map((name) => `%${name}%`).join(" ")} %ComSpec%\r\n`);
  const agent = `"${wine.node}" "${wine.agentProgram}" run-script --event connect --allow-root C:\\tell.cmd`;
  const lines = [...names.map((name) => `@set ${name}=C:\\evil`), "@echo %ProgramFiles%", `@${agent}`];
  await writeFile(join(wine.drive, "start.cmd"), lines.map((line) => `${line}\r\n`).join(""));
  const { stdout } = await wine.run("cmd.exe", ["/c", "C:\\start.cmd"]);
  const told = ["C:\\windows C:\\windows", "C:\\Program Files C:\\Program Files", "C:\\ProgramData"].join(" ");
  expect(String(stdout).replaceAll("\r", "")).toBe(`C:\\evil\n${told} C:\\windows\\System32\\cmd.exe\n`);
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
