import { expect, test } from "vitest";
import { splitCommandLine } from "../../src/interpreter/command-line.ts";
import { serviceCommandLine } from "../../src/windows/service-install.ts";

const executable = "C:\\Program Files\\sallyport-agent\\sallyport-agent.exe";

test("services.exe finds one program in the service's line, and no other at its spaces", () => {
  expect(serviceCommandLine([executable, "service"])).toBe(`"${executable}" "service"`);
});

test.each([
  [[executable, "service"]],
  [["C:\\n\\node.exe", "C:\\a b\\installed.js", "service", "--openvpn", "D:\\Open VPN\\openvpn.exe"]],
  [[executable, "service", "--openvpn", "D:\\ends in a backslash\\"]],
])("the words of the service's line are the words that were meant: %j", (words) => {
  expect(splitCommandLine(serviceCommandLine(words))).toEqual(words);
});
