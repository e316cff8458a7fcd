import { expect, test } from "vitest";
import { browserCommand } from "../../src/machine/browser.ts";

const url = "https://idp.example.org/login?a=1&b=%20x";
const desktop = { DISPLAY: ":7", PATH: "relative:/opt/none:/usr/bin" };
const xdgOpen = { program: "/usr/bin/xdg-open", args: [url] };

test.each([
  ["linux", desktop, url, xdgOpen],
  ["linux", { WAYLAND_DISPLAY: "wayland-0", PATH: "/usr/bin" }, url, xdgOpen],
  ["linux", { PATH: "/usr/bin" }, url, undefined],
  ["linux", { DISPLAY: ":7", PATH: "/opt/none" }, url, undefined],
  ["mac", {}, url, { program: "/usr/bin/open", args: [url] }],
  [
    "win",
    { SystemRoot: "D:\\Windows" },
    url,
    { program: "D:\\Windows\\System32\\rundll32.exe", args: ["url.dll,FileProtocolHandler", url] },
  ],
  ["linux", desktop, "file:///etc/passwd", undefined],
  ["mac", {}, "javascript:alert(1)", undefined],
  ["win", {}, "ms-msdt:/id PCWDiagnostic", undefined],
  ["win", {}, "C:\\evil.exe", undefined],
  ["linux", desktop, "-h", undefined],
  ["linux", desktop, `https://idp.example.org/${"a".repeat(3_000)}`, undefined],
  ["linux", desktop, 'https://idp.example.org/a b"c', { ...xdgOpen, args: ["https://idp.example.org/a%20b%22c"] }],
] as const)(
  "on %s with %j, %s is opened by a program of the system, or not at all",
  (platform, environment, at, command) => {
    const isProgram = (path: string) => path === "/usr/bin/xdg-open";
    expect(browserCommand(at, { platform, environment, isProgram })).toEqual(command);
  },
);
