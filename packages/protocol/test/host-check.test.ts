import { expect, it } from "vitest";
import { appVerifyLines, compileAppRegex, parseAppVerify, readAppVerify } from "../src/index.ts";

it("reads both spellings, alone and together", () => {
  const text = [
    "ALL=^x$",
    "win:AV=Defender",
    "['mac']",
    "AV=^XProtect$",
    "linux:SH=^bash$",
    '[ "linux" ]',
    "AV=clamav",
  ];
  expect(parseAppVerify(text.join("\n"))).toEqual({
    queries: [
      { platform: "all", name: "ALL", regex: "^x$" },
      { platform: "win", name: "AV", regex: "Defender" },
      { platform: "mac", name: "AV", regex: "^XProtect$" },
      { platform: "linux", name: "SH", regex: "^bash$" },
      { platform: "linux", name: "AV", regex: "clamav" },
    ],
    faults: [],
  });
});

it("leaves equals signs and colons of a regular expression alone, and passes over comments and blank lines", () => {
  const { queries, faults } = parseAppVerify("# what we need\r\n\r\n  win:A = a=b:c  \r\n");
  expect([queries, faults]).toEqual([[{ platform: "win", name: "A", regex: "a=b:c" }], []]);
});

it.each([
  ["AV", "expected NAME=REGEX"],
  ["beos:AV=x", '"beos" is no platform'],
  ["['beos']", "is no platform"],
  ["A V=x", "letters, digits and underscores"],
  ["=x", "letters, digits and underscores"],
  ["AV=", "no regular expression"],
  ["AV=(", "cannot be read"],
  ["AV=a\u0007b", "control characters"],
  [`AV=${"x".repeat(300)}`, "longer than 240 bytes"],
  ["all:OK=y", "asked twice"],
])("says of %j what is wrong, and in which line", (line, message) => {
  const { queries, faults } = parseAppVerify(`OK=x\n${line}`);
  expect(queries).toEqual([{ platform: "all", name: "OK", regex: "x" }]);
  expect(faults).toEqual([{ line: 2, message: expect.stringContaining(message) }]);
});

it("writes comment lines that it reads again, and none where nothing is asked", () => {
  const { queries } = parseAppVerify("['win']\nAV=^Defender\nlinux:SH=bash");
  const lines = appVerifyLines(queries);
  expect(lines[0]).toBe("# OVPN_ACCESS_SERVER_APP_VERIFY_START");
  expect(lines.at(-1)).toBe("# OVPN_ACCESS_SERVER_APP_VERIFY_STOP");
  expect(readAppVerify(["client", ...lines, "dev tun"].join("\n"))).toEqual({ queries, faults: [] });
  expect(readAppVerify("client\n")).toEqual({ queries: [], faults: [] });
  expect(appVerifyLines([])).toEqual([]);
});

it("reads a block as other servers may write it", () => {
  const start = "# OVPN_ACCESS_SERVER_APP_VERIFY_START";
  const stop = "# OVPN_ACCESS_SERVER_APP_VERIFY_STOP";
  const text = [start, "# ['win']", "# AV=Defender", stop].join("\r\n");
  expect(readAppVerify(text).queries).toEqual([{ platform: "win", name: "AV", regex: "Defender" }]);
});

it("understands that case does not matter where the expression says so", () => {
  const regex = compileAppRegex("(?i)^firefox");
  expect(regex instanceof RegExp && regex.test("Firefox 140")).toBe(true);
});
