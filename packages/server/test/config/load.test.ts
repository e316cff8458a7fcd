// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what the configuration replaces.
import { readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { loadConfig, readConfig } from "../../src/config/load.ts";
import { SallyportError } from "../../src/core/errors.ts";
import { configFile, configOf, least } from "./reading.ts";

const everything = `
dataDirectory: /var/lib/sallyport
database: sqlite
node: { number: 3, url: "https://vpn.example.org", hostName: vpn.example.org }
http: { listen: "0.0.0.0:8443", publicUrl: "https://portal.example.org", tls: { cert: tls/cert.pem, key: /k.pem } }
connectScriptPath: /usr/local/bin/my script.sh
hooks:
  - { name: firewall, script: fw.sh, events: [connect], veto: true, deadlineMs: 4000, onFailure: allow, account: daemon, legacyVariableNames: true, showOutput: true, retry: { attempts: 3, firstWaitMs: 10, longestWaitMs: 20 } }
  - { name: siem, webhook: "https://siem.example.org/vpn", secretFile: siem.key, events: [connect, disconnect], concurrency: 3, graceSeconds: 30 }
  - { name: inventory, module: ./hooks/inventory.ts, events: [connect] }
geoIp: { database: /var/lib/GeoIP/GeoLite2-City.mmdb }
scripts: { account: scripts, python: venv/bin/python3, deadlineMs: 9000, workers: 4, threads: 8, mostQuestions: 3 }
lockOut: { failures: 5, windowMinutes: 30 }
profiles:
  - id: office
    displayName: Office
    openvpn: { managed: { listen: ["udp/1194", "tcp/192.0.2.1:443", "udp/[2001:DB8::1]:1195"], wakeUp: false, renegotiateSeconds: 60 } }
    ranges: { ipv4: 10.42.0.0/20, ipv6: "fd42:1::/64" }
    routes: [10.0.0.0/8, "FD00::/8"]
    forwarding: true
    nat: masquerade
    dns: [10.0.0.53]
  - id: mobile
    wireguard:
      managed: { interface: wg0, listenPort: 51820 }
      maxDevices: 3
      presharedKeys: true
      unusedDays: 14
      endpoint: "wg.example.org:443"
    ranges: { ipv4: 10.43.0.0/20 }
    sessionExpiry: P30D
  - { id: old, openvpn: { attach: "unix:/run/openvpn/old.sock" }, ranges: { ipv6: "fd43::/64" } }
  - { id: older, wireguard: { attach: wg1, trigger: handshake, silenceSeconds: 200 }, ranges: { ipv6: "fd44::/64" } }
`;

describe("a whole configuration", () => {
  it("becomes values with units, absolute paths and canonical addresses", async () => {
    const { file, directory } = await configFile(everything);
    await writeFile(join(directory, "siem.key"), "hush\n", { mode: 0o600 });
    const result = await readConfig({ file, environment: {}, refused: [] });
    if ("faults" in result) throw new Error(inspect(result.faults));
    const { config } = result;
    expect(config.node).toEqual({ number: 3, url: "https://vpn.example.org", hostName: "vpn.example.org" });
    expect(config.http).toMatchObject({
      listen: { address: "0.0.0.0", port: 8443 },
      publicUrl: "https://portal.example.org",
      tls: { certificateFile: join(directory, "tls/cert.pem"), keyFile: "/k.pem" },
    });
    expect(config.hooks.map((hook) => [hook.name, hook.kind, hook.veto, hook.events])).toEqual([
      ["connectScriptPath", "script", true, ["connect", "disconnect"]],
      ["firewall", "script", true, ["connect"]],
      ["siem", "webhook", false, ["connect", "disconnect"]],
      ["inventory", "module", false, ["connect"]],
    ]);
    expect(config.hooks[1]).toEqual({
      name: "firewall",
      kind: "script",
      path: join(directory, "fw.sh"),
      account: "daemon",
      legacyVariableNames: true,
      events: ["connect"],
      veto: true,
      deadlineMs: 4000,
      onFailure: "allow",
      showOutput: true,
      concurrency: 64,
      graceMs: 0,
      retry: { attempts: 3, firstWaitMs: 10, longestWaitMs: 20 },
    });
    const siem = config.hooks[2];
    expect(siem).toMatchObject({ concurrency: 3, graceMs: 30_000, circuitBreaker: { failures: 5, pauseMs: 15_000 } });
    expect(siem?.kind === "webhook" && siem.secret?.reveal()).toBe("hush");
    expect(config.hooks[3]).toMatchObject({ path: join(directory, "hooks/inventory.ts") });
    expect(config.scripts).toEqual({
      account: "scripts",
      python: join(directory, "venv/bin/python3"),
      deadlineMs: 9000,
      workers: 4,
      threads: 8,
      mostQuestions: 3,
    });
    expect(config.lockOut).toEqual({ failures: 5, addressFailures: 25, windowMs: 30 * 60_000 });
    expect(config.geoIp).toEqual({ database: "/var/lib/GeoIP/GeoLite2-City.mmdb" });
    const [office, mobile, old, older] = config.profiles;
    expect(office?.tunnel).toEqual({
      protocol: "openvpn",
      mode: "managed",
      wakeUp: false,
      renegotiateSeconds: 60,
      listeners: [
        { name: "udp/1194", transport: "udp", address: null, port: 1194 },
        { name: "tcp/192.0.2.1:443", transport: "tcp", address: "192.0.2.1", port: 443 },
        { name: "udp/[2001:db8::1]:1195", transport: "udp", address: "2001:db8::1", port: 1195 },
      ],
    });
    expect(office?.ranges.ipv4).toMatchObject({ family: 4, cidr: "10.42.0.0/20", prefixLength: 20 });
    expect(office?.ranges.ipv6).toMatchObject({ family: 6, cidr: "fd42:1::/64" });
    expect(office).toMatchObject({
      displayName: "Office",
      routes: ["10.0.0.0/8", "fd00::/8"],
      dns: ["10.0.0.53"],
      forwarding: true,
      nat: "masquerade",
      sessionExpiryMs: null,
    });
    expect(mobile).toMatchObject({
      displayName: "mobile",
      sessionExpiryMs: 30 * 86_400_000,
      tunnel: {
        protocol: "wireguard",
        mode: "managed",
        interface: "wg0",
        listenPort: 51820,
        trigger: "config",
        silenceMs: 180_000,
      },
      devices: {
        most: 3,
        presharedKeys: true,
        unusedMs: 14 * 86_400_000,
        endpoint: { host: "wg.example.org", port: 443 },
      },
    });
    expect(old?.tunnel).toEqual({
      protocol: "openvpn",
      mode: "attach",
      name: "unix:/run/openvpn/old.sock",
      management: { role: "connect", at: { path: "/run/openvpn/old.sock" } },
      passwordFile: null,
      certificates: "any",
      wakeUp: true,
    });
    expect(older?.tunnel).toEqual({
      protocol: "wireguard",
      mode: "attach",
      interface: "wg1",
      trigger: "handshake",
      silenceMs: 200_000,
    });
    expect(older?.devices).toEqual({ most: null, presharedKeys: false, unusedMs: null, endpoint: null });
  });

  it("names each thing this version does not drive, and nothing else", async () => {
    const { file, directory } = await configFile(everything.replace("database: sqlite", "database: postgres://db/vpn"));
    await writeFile(join(directory, "siem.key"), "hush", { mode: 0o600 });
    const result = await readConfig({ file, environment: {} });
    expect("faults" in result && result.faults.map((fault) => fault.key)).toEqual(["database"]);
    expect("faults" in result && result.faults.every((f) => f.found.includes("not available in this version"))).toBe(
      true,
    );
  });
});

describe("what is left out", () => {
  it("gets the documented defaults", async () => {
    const config = await configOf(least);
    expect(config).toMatchObject({
      dataDirectory: "/var/lib/sallyport",
      database: { engine: "sqlite" },
      node: { number: 0, url: `https://${hostname()}`, hostName: hostname() },
      http: { listen: { address: "0.0.0.0", port: 8443 }, publicUrl: `https://${hostname()}`, tls: null },
      hooks: [],
      scripts: { account: "nobody", python: "/usr/bin/python3", deadlineMs: 10_000 },
      lockOut: { failures: 10, addressFailures: 50, windowMs: 900_000 },
      geoIp: null,
      warnings: [],
    });
    expect(config.profiles[0]).toMatchObject({
      displayName: "office",
      routes: [],
      dns: [],
      forwarding: false,
      nat: "none",
      ranges: { ipv6: null },
      sessionExpiryMs: null,
      tunnel: { listeners: [{ name: "udp/1194" }], wakeUp: true, renegotiateSeconds: 3600 },
    });
  });

  it("makes a hook an observer with five seconds, and connectScriptPath a veto with ten", async () => {
    const config = await configOf(`${least}connectScriptPath: /bin/true\nhooks: [{ name: h, script: /bin/true }]\n`);
    const [connectScript, hook] = config.hooks;
    expect(connectScript).toMatchObject({
      name: "connectScriptPath",
      kind: "script",
      path: "/bin/true",
      events: ["connect", "disconnect"],
      veto: true,
      deadlineMs: 10_000,
      onFailure: "deny",
      showOutput: false,
      account: undefined,
      legacyVariableNames: false,
    });
    expect(hook).toMatchObject({ veto: false, deadlineMs: 5000, onFailure: "deny", events: ["connect", "disconnect"] });
    expect(config.warnings).toEqual([]);
  });

  it("takes the host name into the URL, an IPv6 address in brackets", async () => {
    expect((await configOf(`${least}node: { hostName: "2001:db8::1" }\n`)).node.url).toBe("https://[2001:db8::1]");
  });
});

describe("loadConfig", () => {
  it("throws config-invalid with every fault, its line, what was expected and what was found", async () => {
    const { file } = await configFile("dataDirectory: var\nprofles: []\nscripts: { deadlineMs: soon }\n");
    const error = await loadConfig({ file, environment: {} }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SallyportError);
    expect((error as SallyportError).code).toBe("config-invalid");
    expect((error as SallyportError).message).toBe(
      [
        `${file} has 3 faults; none of it was applied:`,
        '  line 1, column 16: dataDirectory: expected an absolute path, found "var"',
        '  line 2, column 1: profles: expected a known key (did you mean profiles?), found the unknown key "profles"',
        '  line 3, column 24: scripts.deadlineMs: expected a whole number from 1 to 600000, found "soon"',
      ].join("\n"),
    );
  });
});

describe("a server that runs already", () => {
  const attached = (openvpn: string) =>
    `dataDirectory: /d\nprofiles:\n  - { id: p, openvpn: { ${openvpn} }, ranges: { ipv4: 10.1.0.0/16 } }\n`;
  const tunnelOf = async (openvpn: string) => (await configOf(attached(openvpn))).profiles[0]?.tunnel;

  it("is reached at a unix socket or over TCP, or connects to us", async () => {
    expect(await tunnelOf('attach: "unix:/run/a b.sock", certificates: ours, wakeUp: false')).toMatchObject({
      management: { role: "connect", at: { path: "/run/a b.sock" } },
      certificates: "ours",
      wakeUp: false,
    });
    expect(await tunnelOf('attach: "tcp:[0:0::1]:7505"')).toMatchObject({
      name: "tcp:[::1]:7505",
      management: { role: "connect", at: { host: "::1", port: 7505 } },
    });
    expect(await tunnelOf('attach: "listen:unix:/run/a.sock"')).toMatchObject({
      name: "listen:unix:/run/a.sock",
      management: { role: "listen", at: { path: "/run/a.sock" } },
    });
  });

  it("has its password in a file beside the configuration", async () => {
    const { file, directory } = await configFile(attached('attach: "tcp:127.0.0.1:7505", passwordFile: pw'));
    const missing = await readConfig({ file, environment: {} });
    expect("faults" in missing && missing.faults.map(({ key }) => key)).toEqual(["profiles[0].openvpn.passwordFile"]);
    await writeFile(join(directory, "pw"), "hush\n", { mode: 0o600 });
    const { profiles, warnings } = await loadConfig({ file, environment: {} });
    expect(profiles[0]?.tunnel).toMatchObject({ passwordFile: join(directory, "pw") });
    expect(warnings).toEqual([]);
  });

  it("is warned about where others can reach its socket", async () => {
    expect((await configOf(attached('attach: "tcp:127.0.0.1:7505"'))).warnings).toMatchObject([
      expect.stringContaining("every account of this machine"),
    ]);
    expect((await configOf(attached('attach: "tcp:192.0.2.1:7505"'))).warnings).toMatchObject([
      expect.stringContaining("unencrypted"),
    ]);
  });
});

describe("docs/config.md", () => {
  const markdown = new URL("../../../../docs/config.md", import.meta.url);
  const otherPages = ["attach", "hooks", "webhooks"].map(
    (name) => new URL(`../../../../docs/${name}.md`, import.meta.url),
  );

  it("shows only configurations that load, whole or beside the least one", async () => {
    const blocks = [...(await readFile(markdown, "utf8")).matchAll(/```yaml(.*)\n([\s\S]*?)```/g)];
    for (const page of otherPages)
      blocks.push(...(await readFile(page, "utf8")).matchAll(/```yaml(.*)\n([\s\S]*?)```/g));
    expect(blocks.length).toBeGreaterThan(6);
    for (const [, note, block = ""] of blocks) {
      const { file, directory } = await configFile("");
      for (const name of ["siem.key", "inventory.key", "radius.key", "database.password"])
        await writeFile(join(directory, name), "x", { mode: 0o600 });
      const missing = least.split("\n").filter((line) => !block.includes(`${line.split(":")[0]}:`));
      await writeFile(file, `${block}${missing.join("\n")}\n`);
      const refused = note?.includes("later") ? [] : undefined;
      const result = await readConfig({
        file,
        environment: { NODE_NUMBER: "1", DATABASE_URL: "postgres://db/vpn" },
        ...(refused && { refused }),
      });
      expect("faults" in result ? { block, faults: result.faults } : "loads").toBe("loads");
    }
  });
});
