// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what the configuration replaces.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyOf, nearest } from "../../src/config/faults.ts";
import { configOf, faultsOf, faultTexts, least } from "./reading.ts";

const profile = (rest: string) =>
  `dataDirectory: /d\nprofiles:\n  - { id: p, openvpn: { managed: {} }, ranges: { ipv4: 10.1.0.0/16 }, ${rest} }\n`;
const profiles = (...items: string[]) =>
  `dataDirectory: /d\nprofiles:\n${items.map((item) => `  - { ${item} }\n`).join("")}`;
const hook = (rest: string) => `${least}hooks:\n  - { name: h, script: /bin/true, ${rest} }\n`;

describe("a fault", () => {
  it.each([
    [
      profile("routes: 10.0.0.0/8"),
      'profiles[0].routes: expected a list of ranges and at most 200, found "10.0.0.0/8"',
    ],
    [
      profile("routes: [10.0.0.0]"),
      'profiles[0].routes[0]: expected a range such as 10.0.0.0/8 or fd00::/8, found "10.0.0.0"',
    ],
    [
      profile("dns: [dns.example.org]"),
      'profiles[0].dns[0]: expected an address such as 10.0.0.53, found "dns.example.org"',
    ],
    [
      profile("sessionExpiry: 30d"),
      'profiles[0].sessionExpiry: expected an ISO 8601 duration of at most ten years, such as P30D or PT12H, found "30d"',
    ],
    [
      profile("sessionExpiry: PT0S"),
      'profiles[0].sessionExpiry: expected an ISO 8601 duration of at most ten years, such as P30D or PT12H, found "PT0S"',
    ],
    [profile("displayName:"), "profiles[0].displayName: expected a name of 1 to 100 characters, found an empty value"],
    [profile("nat: yes"), 'profiles[0].nat: expected masquerade or none, found "yes"'],
    [profile("forwarding: 1"), "profiles[0].forwarding: expected true or false, found 1"],
    [
      profiles("id: ../x, openvpn: { managed: {} }, ranges: { ipv4: 10.1.0.0/16 }"),
      `profiles[0].id: expected an id of up to 32 letters, digits, '.', '_' and '-', found "../x"`,
    ],
    [
      profiles("id: p, openvpn: { managed: {} }, ranges: { ipv4: fd00::/64 }"),
      'profiles[0].ranges.ipv4: expected an IPv4 range such as 10.42.0.0/20, found "fd00::/64"',
    ],
    [
      profiles("id: p, openvpn: { managed: {} }, ranges: {}"),
      "profiles[0].ranges: expected ipv4, ipv6 or both, found neither",
    ],
    [
      profiles("id: p, openvpn: { managed: {} }, ranges: { ipv4: 10.0.0.0/31 }"),
      "profiles[0].ranges.ipv4: expected a range with room for the server and a client (/30 or larger), found 10.0.0.0/31",
    ],
    [
      profiles("id: p, openvpn: { managed: {} }, ranges: { ipv6: 'fd00::/127' }"),
      "profiles[0].ranges.ipv6: expected a range with room for the server and a client (/126 or larger), found fd00::/127",
    ],
    [
      profiles("id: p, openvpn: { managed: {} }, ranges: { ipv4: 127.0.0.0/24 }"),
      "profiles[0].ranges.ipv4: expected a range of ordinary addresses, found 127.0.0.0/24",
    ],
    [
      profiles("id: p, openvpn: { managed: {} }, ranges: { ipv6: '::ffff:10.0.0.0/112' }"),
      "profiles[0].ranges.ipv6: expected a range of ordinary addresses, found ::ffff:a00:0/112",
    ],
    [
      profiles("id: p, openvpn: {}, ranges: { ipv4: 10.1.0.0/16 }"),
      "profiles[0].openvpn: expected one of managed and attach, found an empty mapping",
    ],
    [
      profiles("id: p, openvpn: { attach: /run/a.sock }, ranges: { ipv4: 10.1.0.0/16 }"),
      'profiles[0].openvpn.attach: expected unix:/PATH or tcp:ADDRESS:PORT, with listen: in front where the server connects, found "/run/a.sock"',
    ],
    [
      profiles("id: p, openvpn: { managed: {}, certificates: any }, ranges: { ipv4: 10.1.0.0/16 }"),
      "profiles[0].openvpn.certificates: expected it beside attach alone, found it without attach",
    ],
    [
      profiles('id: p, openvpn: { attach: "unix:/a" }, nat: masquerade, ranges: { ipv4: 10.1.0.0/16 }'),
      "profiles[0].nat: expected the server's own firewall, as the server is not ours, found masquerade beside attach",
    ],
    [
      profiles(
        'id: p, openvpn: { attach: "unix:/a" }, ranges: { ipv4: 10.1.0.0/16 }',
        'id: q, openvpn: { attach: "listen:unix:/a" }, ranges: { ipv4: 10.2.0.0/16 }',
      ),
      'profiles[1].openvpn.attach: expected a server of its own, found "unix:/a", as profiles[0].openvpn.attach has it',
    ],
    [
      profiles("id: p, ranges: { ipv4: 10.1.0.0/16 }"),
      "profiles[0]: expected one of openvpn and wireguard, found neither",
    ],
    [
      profiles("id: p, openvpn: { managed: {} }, wireguard: { attach: wg0 }, ranges: { ipv4: 10.1.0.0/16 }"),
      "profiles[0]: expected one of openvpn and wireguard, found both",
    ],
    [
      profiles("id: p, openvpn: { managed: { listen: [1194] } }, ranges: { ipv4: 10.1.0.0/16 }"),
      "profiles[0].openvpn.managed.listen[0]: expected a listener such as udp/1194, udp/192.0.2.1:1194 or udp/[::]:1194, found 1194",
    ],
    [
      profiles("id: p, openvpn: { managed: { listen: [udp/99999] } }, ranges: { ipv4: 10.1.0.0/16 }"),
      'profiles[0].openvpn.managed.listen[0]: expected a listener such as udp/1194, udp/192.0.2.1:1194 or udp/[::]:1194, found "udp/99999"',
    ],
    [
      profiles("id: p, openvpn: { managed: { listen: [] } }, ranges: { ipv4: 10.1.0.0/16 }"),
      "profiles[0].openvpn.managed.listen: expected a list of listeners, at least 1 and at most 16, found an empty list",
    ],
    [
      profiles("id: p, openvpn: { managed: { renegotiateSeconds: 0 } }, ranges: { ipv4: 10.1.0.0/16 }"),
      "profiles[0].openvpn.managed.renegotiateSeconds: expected a whole number from 1 to 604800, found 0",
    ],
    [
      profiles("openvpn: { managed: {} }, ranges: { ipv4: 10.1.0.0/16 }"),
      "profiles[0].id: expected an id of up to 32 letters, digits, '.', '_' and '-', found nothing",
    ],
    ["profiles: []\n", "dataDirectory: expected an absolute path, found nothing"],
    [`${least}connectScriptPath: [a]\n`, "connectScriptPath: expected a path, found a list"],
    [
      `${least}http: { listen: 8443 }\n`,
      "http.listen: expected an address and port such as 0.0.0.0:8443 or [::]:8443, found 8443",
    ],
    [
      `${least}http: { publicUrl: "https://u:p@x/" }\n`,
      'http.publicUrl: expected an http:// or https:// URL without user name and password, found "https://u:p@x/"',
    ],
    [`${least}node: { hostName: "a b" }\n`, 'node.hostName: expected a host name or an address, found "a b"'],
    [`${least}node: 1\n`, "node: expected keys with values (number, url, hostName), found 1"],
    [`${least}hooks: { name: h }\n`, "hooks: expected a list of at most 50 hooks, found a mapping"],
    [
      `${least}hooks: [fw.sh]\n`,
      'hooks[0]: expected a hook: a name and one of script, webhook, log, module and radiusAccounting, found "fw.sh"',
    ],
    [
      `${least}hooks: [{ name: h, script: /a, webhook: "https://x/" }]\n`,
      "hooks[0]: expected a hook: a name and one of script, webhook, log, module and radiusAccounting, found script and webhook",
    ],
    [
      hook("veto: true, events: [disconnect]"),
      "hooks[0].events: expected connect among a veto hook's events, found none",
    ],
    [hook("events: [conect]"), 'hooks[0].events[0]: expected connect or disconnect, found "conect"'],
    [hook("deadlineMs: 1.5"), "hooks[0].deadlineMs: expected a whole number from 1 to 600000, found 1.5"],
    [
      hook("retry: { longestWaitMs: 5 }"),
      "hooks[0].retry.longestWaitMs: expected at least firstWaitMs (1000), found 5",
    ],
    [
      hook("secret: x"),
      'hooks[0].secret: expected a known key (name, events, veto, deadlineMs, onFailure, showOutput, concurrency, graceSeconds, retry, script, account, legacyVariableNames), found the unknown key "secret"',
    ],
  ])("of %j says what was expected and found", async (text, fault) => {
    const texts = await faultTexts(text, { refused: [] });
    expect(texts).toHaveLength(1);
    expect(texts[0]).toMatch(/^line \d+, column \d+: /);
    expect(texts[0]?.replace(/^line \d+, column \d+: /, "")).toBe(fault);
  });

  it("stands beside every other one, whichever parts they are in", async () => {
    const text = `dataDirectory: d
node: { number: -1, hostname: x }
hooks:
  - { name: "a b", script: /x, vetoo: true }
  - { name: h, script: /x }
  - { name: h, script: /x }
profiles:
  - { id: p, openvpn: { managed: {} }, ranges: { ipv4: 10.1.0.0/16 } }
  - { id: p, openvpn: { managed: { listen: [udp/1195] } }, ranges: { ipv4: 10.1.2.0/24 } }
  - { id: q, ranges: { ipv4: x }, dns: [y, 10.0.0.53, z] }
`;
    const faults = await faultsOf(text);
    expect(faults.map((fault) => `${fault.line}:${fault.column} ${fault.key}`)).toEqual([
      "1:16 dataDirectory",
      "2:17 node.number",
      "2:21 node.hostname",
      "4:13 hooks[0].name",
      "4:32 hooks[0].vetoo",
      "6:13 hooks[2].name",
      "9:11 profiles[1].id",
      "9:76 profiles[1].ranges.ipv4",
      "10:5 profiles[2]",
      "10:30 profiles[2].ranges.ipv4",
      "10:41 profiles[2].dns[0]",
      "10:55 profiles[2].dns[2]",
    ]);
  });

  it.each(["\u2028", "\u2029", "\u0085", "\t"])("stays on its line where %j is what YAML complains of", async (one) => {
    for (const value of [`"\\${one}"`, `|${one}\u2028x`, `!<${one}> 1`]) {
      for (const fault of await faultTexts(`${least}geoIp: ${value}\n`)) {
        expect(fault).toMatch(/^line \d+, column \d+: .*expected .+, found .+$/);
        expect(fault).not.toMatch(/\p{Cc}/u);
      }
    }
  });

  it("stays on its line and in its bounds, whatever the key", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary", maxLength: 300 }), { minLength: 1, maxLength: 3 }), (path) => {
        expect(keyOf(path)).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(keyOf(path).length).toBeLessThan(path.length * 400);
      }),
    );
  });

  it("suggests the key that was meant, and none where nothing is near", () => {
    const known = ["dataDirectory", "connectScriptPath", "hooks", "profiles"];
    expect(nearest("datadirectory", known)).toBe("dataDirectory");
    expect(nearest("data_directory", known)).toBe("dataDirectory");
    expect(nearest("connectScript", known)).toBe("connectScriptPath");
    expect(nearest("hook", known)).toBe("hooks");
    expect(nearest("colour", known)).toBeUndefined();
    expect(nearest("x".repeat(100_000), known)).toBeUndefined();
  });
});

describe("parts that are right alone", () => {
  const two = (a: string, b: string) =>
    profiles(
      `id: a, openvpn: { managed: { listen: [${a}] } }, ranges: { ipv4: 10.1.0.0/16 }`,
      `id: b, openvpn: { managed: { listen: [${b}] } }, ranges: { ipv4: 10.2.0.0/16 }`,
    );

  it.each([
    ["udp/1194", "udp/1194", false],
    ["udp/1194", "udp/192.0.2.1:1194", false],
    ['"udp/[::]:1194"', "udp/192.0.2.1:1194", false],
    ["udp/192.0.2.1:1194", "udp/192.0.2.1:1194", false],
    ["udp/192.0.2.1:1194", "udp/192.0.2.2:1194", true],
    ["udp/1194", "udp/1195", true],
    ["udp/1194", "tcp/1194", true],
    ["udp/1194", "tcp/8443", false],
  ])("may listen on %s and %s: %s", async (a, b, fine) => {
    if (fine) await configOf(two(a, b), { refused: [] });
    else
      expect((await faultsOf(two(a, b), { refused: [] })).map((f) => f.key)).toEqual([
        "profiles[1].openvpn.managed.listen[0]",
      ]);
  });

  it("share no addresses, and the fault names whose they are", async () => {
    const text = profiles(
      "id: a, openvpn: { managed: {} }, ranges: { ipv4: 10.1.0.0/16, ipv6: 'fd00::/64' }",
      "id: b, openvpn: { managed: { listen: [udp/1] } }, ranges: { ipv4: 10.2.0.0/16, ipv6: 'fd00::1:0/112' }",
    );
    expect(await faultsOf(text)).toMatchObject([
      { key: "profiles[1].ranges.ipv6", found: "fd00::1:0/112, which overlaps fd00::/64 of a" },
    ]);
  });

  it("may not keep a client waiting longer than it waits, and the fault shows the sum", async () => {
    const text = (ms: number) =>
      `${least}scripts: { deadlineMs: 20000 }\nconnectScriptPath: /bin/true\nhooks:\n  - { name: slow, script: /bin/true, veto: true, deadlineMs: ${ms} }\n  - { name: observer, script: /bin/true, deadlineMs: 60000 }\n`;
    await configOf(text(24_999));
    expect(await faultTexts(text(25_000))).toEqual([
      "line 6, column 62: hooks[0].deadlineMs: expected less than 55000 ms for the scripts and all veto hooks together, found 55000 ms (scripts.deadlineMs 20000 + connectScriptPath 10000 + slow 25000)",
    ]);
  });

  it("do not take the name of connectScriptPath", async () => {
    const text = `${least}connectScriptPath: /bin/true\nhooks: [{ name: connectScriptPath, script: /bin/true }]\n`;
    expect(await faultsOf(text)).toMatchObject([
      { key: "hooks[0].name", found: '"connectScriptPath", as connectScriptPath has it' },
    ]);
  });
});
