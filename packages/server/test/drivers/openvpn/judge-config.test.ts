import { expect, test } from "vitest";
import { parseRange } from "../../../src/core/address-range.ts";
import { readConfigOptions } from "../../../src/drivers/openvpn/config-lines.ts";
import { judgeServerConfig } from "../../../src/drivers/openvpn/judge-config.ts";
import type { JudgedProfile } from "../../../src/drivers/openvpn/judgement.ts";

const good = `port 1194
proto udp
dev tun
topology subnet
server 10.44.0.0 255.255.240.0 nopool
ifconfig-ipv6 fd44:1::1/64 fd44:1::2
keepalive 10 60
push "explicit-exit-notify 1"
duplicate-cn
management /run/o/m.sock unix
management-client-user root
management-client-auth
`;

const profile: JudgedProfile = {
  management: { role: "connect", at: { path: "/run/o/m.sock" } },
  passwordFile: null,
  certificates: "any",
  ranges: { ipv4: parseRange("10.44.0.0/20") ?? null, ipv6: parseRange("fd44:1::/64") ?? null },
  groupSubnets: [],
};

/** What is not as it should be, as `state id@line`. */
function wrong(text: string, changes: Partial<JudgedProfile> = {}): string[] {
  return judgeServerConfig(text, { ...profile, ...changes })
    .filter(({ state }) => state !== "ok")
    .map(({ state, id, line }) => `${state} ${id}@${line ?? "-"}`);
}

const without = (start: string) =>
  good
    .split("\n")
    .filter((line) => !line.startsWith(start))
    .join("\n");
const instead = (start: string, line: string) =>
  good
    .split("\n")
    .map((one) => (one.startsWith(start) ? line : one))
    .join("\n");

test("a configuration that has all it needs has nothing wrong", () => {
  expect(wrong(good)).toEqual([]);
});

test("options are read as OpenVPN reads them", () => {
  const text = `# comment\n ; another\n--dev 'tun 0' # rest\npush "a \\"b\\" c"\n<ca>\nserver 1.2.3.4\n</ca>\nmanagement a\\ b unix\r\n`;
  expect(readConfigOptions(text)).toEqual([
    { line: 3, name: "dev", words: ["tun 0"] },
    { line: 4, name: "push", words: ['a "b" c'] },
    { line: 5, name: "ca", words: ["[inline]"] },
    { line: 8, name: "management", words: ["a b", "unix"] },
  ]);
});

test.each([
  ["server", ["fault server@-", "fault route-ipv4@-"]],
  ["topology", ["fault topology@-"]],
  ["management /", ["fault management@-"]],
  ["management-client-auth", ["fault management-client-auth@-"]],
  ["management-client-user", ["warning management-client-user@-"]],
  ["duplicate-cn", ["warning duplicate-cn@-"]],
  ["keepalive", ["warning keepalive@-"]],
  ["push", ["warning explicit-exit-notify@-"]],
  ["ifconfig-ipv6", ["fault route-ipv6@-"]],
])("a missing line is named: %s", (start, found) => {
  expect(wrong(without(start))).toEqual(found);
});

test.each([
  ["server", "server 10.44.0.0 255.255.240.0", ["fault pool-ipv4@5"]],
  ["server", "server 10.0.0.0 255.0.0.0 nopool", ["warning gateway-ipv4@5"]],
  ["server", "server 10.8.0.0 255.255.255.0", ["fault route-ipv4@-"]],
  ["ifconfig-ipv6", "server-ipv6 fd44:1::/64", ["warning pool-ipv6@6"]],
  ["topology", "topology net30", ["fault topology@4"]],
  ["dev", "dev tap0", ["fault dev@3"]],
  ["management /", "management /elsewhere unix", ["fault management@10"]],
  ["management /", "management /run/o/m.sock unix /pw", ["fault management-password@10"]],
  ["port", "management-client", ["fault management-client@1"]],
  ["port", "reneg-sec 0", ["warning reneg-sec@1"]],
  ["port", "auth-gen-token 0", ["warning auth-gen-token@1"]],
  ["port", "auth-gen-token 0 external-auth", []],
  ["port", "reneg-sec 3600", []],
  ["port", "client-config-dir /ccd", ["warning client-config-dir@1"]],
  ["port", "username-as-common-name", ["warning username-as-common-name@1"]],
  ["port", "ifconfig-pool 10.44.1.0 10.44.1.255", ["fault pool-ipv4@1"]],
  ["port", "ifconfig-pool 10.45.0.2 10.45.0.9", []],
  ["port", "config more.conf", ["warning config@1"]],
])("a line that will not do is named with its number: %s → %s", (start, line, found) => {
  expect(wrong(instead(start, line))).toEqual(found);
});

test("subnets of groups must lead into the tunnel too", () => {
  const groupSubnets = [parseRange("10.44.3.0/24"), parseRange("10.50.0.0/24")].filter((range) => range !== undefined);
  expect(wrong(good, { groupSubnets })).toEqual(["warning route-group.10.50.0.0/24@-"]);
  expect(wrong(`${good}route 10.50.0.0 255.255.255.0\n`, { groupSubnets })).toEqual([]);
});

test("what a profile asks of its server is held against it", () => {
  const certless = `${good}verify-client-cert none\n`;
  expect(wrong(certless)).toEqual([]);
  expect(wrong(certless, { certificates: "ours" })).toEqual(["fault verify-client-cert@13"]);
  expect(wrong(good, { management: { role: "listen", at: { path: "/run/o/m.sock" } } })).toEqual([
    "fault management-client@-",
  ]);
  expect(wrong(instead("management /", "management 127.0.0.1 7505"))).toContain("fault management@10");
  const tcp = { role: "connect", at: { host: "127.0.0.1", port: 7505 } } as const;
  expect(
    wrong(instead("management /", "management 127.0.0.1 7505 /pw"), { management: tcp, passwordFile: "/pw" }),
  ).toEqual([]);
  const { ipv6 } = profile.ranges;
  expect(wrong(instead("server", "server 10.8.0.0 255.255.255.0"), { ranges: { ipv4: null, ipv6 } })).toEqual([
    "warning pool-ipv4@5",
  ]);
});
