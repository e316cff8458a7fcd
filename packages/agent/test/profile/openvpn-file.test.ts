import { expect, test } from "vitest";
import { readOpenVpnProfile } from "../../src/profile/openvpn-file.ts";

const ca = "<ca>\n-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n</ca>\n";
const profile = (lines: string) => readOpenVpnProfile(`client\nremote vpn.example.org 1194 udp\n${lines}\n${ca}`);

test("what a client needs passes, blocks and quoted words as they are", () => {
  const read = profile(
    'auth-user-pass\nverify-x509-name "vpn example" name\nsetenv FRIENDLY_NAME "The office"\nstatic-challenge "Your \\"PIN\\"?" 1',
  );
  expect(read).toMatchObject({ asksPassword: true, friendlyName: "The office", leftOut: [] });
  expect(read.remotes).toEqual([{ host: "vpn.example.org", port: "1194", protocol: "udp" }]);
  expect(read.text).toContain('verify-x509-name "vpn example" name\n');
  expect(read.text).toContain('static-challenge "Your \\"PIN\\"?" 1\n');
  expect(read.text).toContain(ca);
});

test.each([
  "up /tmp/evil",
  "--up /tmp/evil",
  "  down '/tmp/evil'",
  "route-up /tmp/evil",
  "ipchange /tmp/evil",
  "tls-verify /tmp/evil",
  "plugin /tmp/evil.so",
  "config /etc/shadow",
  "log /etc/passwd",
  "log-append /etc/passwd",
  "status /etc/passwd",
  "writepid /etc/passwd",
  "iproute /tmp/evil",
  "cd /tmp",
  "chroot /tmp",
  "tmp-dir /tmp",
  "management 0.0.0.0 7505",
  "engine /tmp/evil",
  "providers /tmp/evil.so",
  "pkcs11-providers /tmp/evil.so",
  "dns-updown /tmp/evil",
  "askpass /etc/shadow",
  "http-proxy evil 1 /etc/shadow basic",
  "setenv LD_PRELOAD /tmp/evil.so",
  "setenv opt up /tmp/evil",
  "setenv-safe x /tmp/evil",
  "ca /etc/shadow",
  "cert /etc/shadow",
  "pkcs12 /etc/shadow",
  "auth-user-pass /etc/shadow",
  "<up>\n/tmp/evil\n</up>",
  "<auth-user-pass>\n/tmp/evil\nx\n</auth-user-pass>",
  "<connection>\nup /tmp/evil\n</connection>",
  "daemon /tmp/evil",
])("what runs programs or touches files is left out: %s", (lines) => {
  expect(profile(lines).text).not.toMatch(/evil|shadow|passwd|tmp|0\.0\.0\.0/);
});

test("what is left out is told, with the line", () => {
  expect(profile("up /tmp/evil\nuser nobody\nplugin x").leftOut).toEqual(["line 3: up", "line 5: plugin"]);
});

test.each([
  ["remote /etc/passwd", /line 3 says what remote cannot be/],
  ["dev ../../etc", /line 3 says what dev cannot be/],
  ['dhcp-option DNS "1.1.1.1\\\\nup x', /line 3 cannot be read/],
  ["<ca>\nx", /line 3 has no end|<ca>/],
  ["</ca>", /line 3 ends a block/],
  ["<key>\n<up>\n</key>", /line 4 does not belong into <key>/],
  [`route ${"1".repeat(300)}`, /line 3 is longer/],
  ["ca\0", /NUL/],
])("a faulty line is refused: %j", (lines, words) => {
  expect(() => profile(lines)).toThrow(words);
});

test("a file without a server, or without what to know it by, is refused", () => {
  expect(() => readOpenVpnProfile(`client\n${ca}`)).toThrow(/names no server/);
  expect(() => readOpenVpnProfile("client\nremote a\n")).toThrow(/by which authority/);
});
