import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { answerHostChecks } from "../../src/posture/answer.ts";
import type { ReadCommand } from "../../src/posture/application.ts";
import { desktopSource, flatpakSource, rpmSource, upstreamVersion } from "../../src/posture/linux.ts";
import { bundleSource, readPropertyList } from "../../src/posture/mac.ts";
import { readCommand } from "../../src/posture/read-command.ts";
import { applicationSources } from "../../src/posture/sources.ts";
import { registrySource } from "../../src/posture/windows.ts";

const execute = promisify(execFile);

test("this machine's own packages are found, with their makers' versions", async () => {
  const { stdout } = await execute("dpkg-query", ["-W", "-f", `\${Version}`, "bash"]);
  const lines = ["BASH=^bash$", "NONE=^no-such-package$", "MANY=^lib"];
  const answers = await answerHostChecks(lines, { platform: "linux", sources: applicationSources("linux") });
  expect(answers).toEqual({
    UV_APPVER_BASH: upstreamVersion(stdout),
    UV_APPVER_NONE: "ERR_NOT_FOUND",
    UV_APPVER_MANY: "ERR_MANY_FOUND",
  });
  expect(answers.UV_APPVER_BASH).toMatch(/^\d+(\.\d+)+$/);
});

test.each([
  ["1:128.5.0esr-1~deb12u1", "128.5.0esr"],
  ["5.2.15-2+b7", "5.2.15"],
  ["2.36", "2.36"],
  ["2:8.2-rc1-3", "8.2-rc1"],
])("Debian's %s is its maker's %s", (debian, maker) => {
  expect(upstreamVersion(debian)).toBe(maker);
});

test("a program that is not there, or fails, is read as nothing", async () => {
  expect(await readCommand("no-such-program", [])).toBe("");
  expect(await readCommand("false", [])).toBe("");
});

// What follows was written by hand, after the programs' documentation: these systems are not at hand.

const recorded =
  (outputs: Record<string, string>): ReadCommand =>
  async (program, args) =>
    outputs[[program, ...args].join(" ")] ?? "";

test("the registry's uninstall keys: three views, without parts, updates and keys that are nobody's", async () => {
  const keys: Record<string, Record<string, string>[]> = {
    "machine-64": [
      { DisplayName: "Mozilla Firefox (x64 en-US)", DisplayVersion: "128.0" },
      { DisplayName: "Office 16 Click-to-Run Part", DisplayVersion: "16.0", SystemComponent: "1" },
      { DisplayName: "Update for Firefox", ParentKeyName: "Mozilla Firefox" },
      {},
    ],
    "machine-32": [
      { DisplayName: "Tool ", DisplayVersion: "" },
      { DisplayName: "Old", VersionMajor: "1", VersionMinor: "2" },
    ],
    account: [{ DisplayName: "Zoom Workplace", DisplayVersion: "6.2.3 (47507)", SystemComponent: "0" }],
  };
  const sources = [registrySource(async (view) => (keys[view] ?? []).map((values) => new Map(Object.entries(values))))];
  const lines = [
    "FIREFOX=^Mozilla Firefox",
    "ZOOM=^Zoom",
    "TOOL=^Tool$",
    "OLD=^Old$",
    "OFFICE=Office",
    "UPDATE=^Update",
  ];
  expect(await answerHostChecks(lines, { platform: "win", sources })).toEqual({
    UV_APPVER_FIREFOX: "128.0",
    UV_APPVER_ZOOM: "6.2.3_(47507)",
    UV_APPVER_TOOL: "ERR_NO_VERSION",
    UV_APPVER_OLD: "1.2",
    UV_APPVER_OFFICE: "ERR_NOT_FOUND",
    UV_APPVER_UPDATE: "ERR_NOT_FOUND",
  });
});

const plist = (strings: string) => `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
	<key>CFBundleDocumentTypes</key>
	<array><dict><key>CFBundleName</key><string>Inner</string></dict></array>
	<key>LSRequiresNativeExecution</key><true/>
	${strings}
</dict></plist>`;

test("macOS' bundles: by the file's name and the shown one, in XML and through plutil where they are binary", async () => {
  const directory = await mkdtemp(join(tmpdir(), "applications-"));
  const bundle = async (path: string, text: string) => {
    await mkdir(join(directory, path, "Contents"), { recursive: true });
    await writeFile(join(directory, path, "Contents/Info.plist"), text);
  };
  const version = (text: string) => `<key>CFBundleShortVersionString</key><string>${text}</string>`;
  await bundle("Safari.app", plist(version("17.4")));
  await bundle("Utilities/Term.app", plist(`<key>CFBundleName</key><string>A &amp; B</string>${version("2.14")}`));
  await bundle("Binary.app", "bplist00…");
  await bundle("Bare.app", plist(""));
  const binary = join(directory, "Binary.app/Contents/Info.plist");
  const read = recorded({ [`plutil -convert xml1 -o - -- ${binary}`]: plist(version("3.0")) });
  const sources = [bundleSource(read, [directory, join(directory, "nowhere")])];
  const lines = ["S=^Safari$", "T=^A & B$", "B=^Binary$", "N=^Bare$", "I=^Inner$"];
  expect(await answerHostChecks(lines, { platform: "mac", sources })).toEqual({
    UV_APPVER_S: "17.4",
    UV_APPVER_T: "2.14",
    UV_APPVER_B: "3.0",
    UV_APPVER_N: "ERR_NO_VERSION",
    UV_APPVER_I: "ERR_NOT_FOUND",
  });
  await rm(directory, { recursive: true });
  expect(readPropertyList("no list at all").size).toBe(0);
});

test("rpm's and flatpak's lists, and menu entries with the version of the package that brought them", async () => {
  const directory = await mkdtemp(join(tmpdir(), "menus-"));
  const entry = (name: string, more = "") => `[Desktop Entry]\nType=Application\nName=${name}\nName[de]=X\n${more}\n`;
  await writeFile(join(directory, "firefox-esr.desktop"), `${entry("Firefox ESR")}[Desktop Action new]\nName=New\n`);
  await writeFile(join(directory, "image.desktop"), entry("Image", "X-AppImage-Version=1.2.3"));
  await writeFile(join(directory, "own.desktop"), entry("Own"));
  await writeFile(join(directory, "link.desktop"), "[Desktop Entry]\nType=Link\nName=Link\n");
  const read = recorded({
    "rpm -qa --queryformat %{NAME}\\t%{VERSION}\\n": "firefox\t128.5.0\ngpg-pubkey\tfd431d51\n",
    "flatpak list --app --columns=application,name,version":
      "org.gimp.GIMP\tGNU Image Manipulation Program\t2.10.38\ncom.example.Bare\tBare\t\n",
    [`dpkg-query -S ${join(directory, "firefox-esr.desktop")}`]: `firefox-esr: ${directory}/firefox-esr.desktop\n`,
    [["dpkg-query", "-W", "-f", `\${Version}\n`, "firefox-esr"].join(" ")]: "128.5.0esr-1~deb12u1\n",
  });
  const sources = [rpmSource(read), flatpakSource(read), desktopSource(read, [directory])];
  const lines = ["R=^firefox$", "G=^GNU Image", "B=^Bare$", "F=^Firefox ESR$", "I=^Image$", "O=^Own$", "L=^Link$"];
  expect(await answerHostChecks(lines, { platform: "linux", sources })).toEqual({
    UV_APPVER_R: "128.5.0",
    UV_APPVER_G: "2.10.38",
    UV_APPVER_B: "ERR_NO_VERSION",
    UV_APPVER_F: "128.5.0esr",
    UV_APPVER_I: "1.2.3",
    UV_APPVER_O: "ERR_NO_VERSION",
    UV_APPVER_L: "ERR_NOT_FOUND",
  });
  await rm(directory, { recursive: true });
});
