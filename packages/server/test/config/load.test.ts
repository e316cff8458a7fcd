// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what the configuration replaces.
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { loadConfig, readConfig } from "../../src/config/load.ts";
import { SallyportError } from "../../src/core/errors.ts";
import { configFile, configOf, faultTexts, least } from "./reading.ts";

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
scripts: { account: scripts, python: venv/bin/python3, deadlineMs: 9000, workers: 4, threads: 8 }
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

describe("a file that is something else altogether", () => {
  it("is told in a hundred faults", async () => {
    const { file } = await configFile(Array.from({ length: 150 }, (_, i) => `key${i}: 1\n`).join(""));
    const error = await loadConfig({ file, environment: {} }).catch((thrown: Error) => thrown);
    expect((error as Error).message.split("\n")).toHaveLength(102);
    expect((error as Error).message).toMatch(/ has 151 faults; .*\n {2}and 51 more$/s);
  });
});

describe("the file itself", () => {
  it.each([
    ["an empty file", "", "line 1, column 1: expected a configuration, found nothing in the file"],
    ["only comments", "# nothing\n", "line 1, column 1: expected a configuration, found nothing in the file"],
    ["a list", "- a\n", "line 1, column 1: expected keys with values, found a list"],
    ["a word", "sallyport\n", 'line 1, column 1: expected keys with values, found "sallyport"'],
    [
      "a tab as indentation",
      "http:\n\tlisten: x\n",
      "line 2, column 1: expected YAML, found a tab as indentation (indent with spaces)",
    ],
    [
      "two documents",
      `${least}---\na: 1\n`,
      "line 3, column 1: expected YAML, found a second document (one file holds one configuration)",
    ],
    [
      "a NUL byte",
      "dataDirectory: /a\0b\n",
      "line 1, column 16: dataDirectory: expected text on one line, found a control character or line break in it",
    ],
    [
      "an escaped line break",
      'dataDirectory: "/a\\nb"\n',
      "line 1, column 16: dataDirectory: expected text on one line, found a control character or line break in it",
    ],
    [
      "bytes that are not UTF-8",
      Buffer.from([0x61, 0x0a, 0x62, 0xff, 0x0a]),
      "expected a readable file, found bytes that are not UTF-8 on line 2",
    ],
    [
      "ten megabytes",
      Buffer.alloc(10_000_000, "# comment\n"),
      "expected a readable file, found a file of more than 262144 bytes",
    ],
  ])("is refused when it is %s", async (_, text, fault) => {
    expect((await faultTexts(text))[0]).toBe(fault);
  });

  it("is refused when it is missing, a directory or something that is no file", async () => {
    const { directory } = await configFile("");
    const found = async (file: string) => {
      const result = await readConfig({ file, environment: {} });
      return "faults" in result ? result.faults.map((fault) => fault.found) : [];
    };
    await symlink("loop", join(directory, "loop"));
    expect(await found(join(directory, "none.yaml"))).toEqual(["no file there"]);
    expect(await found(directory)).toEqual(["a directory"]);
    expect(await found("/dev/zero")).toEqual(["something that is no regular file"]);
    expect(await found(join(directory, "loop"))).toEqual(["a link that goes round in circles"]);
  });

  it("may begin with a byte order mark and end its lines as Windows does", async () => {
    expect((await configOf(`\ufeff${least.replaceAll("\n", "\r\n")}`)).dataDirectory).toBe("/var/lib/sallyport");
  });

  it("tells a duplicate key with both its lines", async () => {
    expect(await faultTexts(`${least}lockOut: { failures: 1 }\nlockOut: {}\n`)).toEqual([
      "line 4, column 1: lockOut: expected each key once, found it a second time (the first is on line 3)",
    ]);
  });

  it("refuses anchors, aliases and the bombs made of them", async () => {
    const bomb = `a: &a [x, x]\n${"bcdefghijk".replace(/./g, (key) => `${key}: &${key} [*${String.fromCharCode(key.charCodeAt(0) - 1)}, *${String.fromCharCode(key.charCodeAt(0) - 1)}]\n`)}`;
    expect(
      (await faultTexts(bomb)).filter((text) => text.includes("anchors and aliases are not read")).length,
    ).toBeGreaterThan(10);
  });

  it.each(["[", "{", "- ", "? ", "a: [", "x:\n "])("survives 200 kilobytes of %j", async (piece) => {
    expect((await faultTexts(piece.repeat(200_000 / piece.length))).length).toBeGreaterThan(0);
  });

  it("takes no key for part of an object's prototype", async () => {
    const texts = await faultTexts(`${least}__proto__: { a: 1 }\nconstructor: 1\n`);
    expect(texts.map((text) => text.split(":")[1]?.trim())).toEqual(["__proto__", "constructor"]);
  });
});

describe("environment variables", () => {
  it("are put into texts, and a bare one may be a number or a truth", async () => {
    const environment = { HOST: "vpn.example.org", NUMBER: "7", WAKE: "false", PORT: "1195" };
    const config = await configOf(
      `dataDirectory: /data/\${HOST}/x
node: { url: "https://\${HOST}:8443" }
profiles:
  - id: "p\${NUMBER}"
    openvpn:
      managed:
        wakeUp: \${WAKE}
        listen: ["udp/\${PORT}"]
        renegotiateSeconds: \${PORT}
    ranges: { ipv4: 10.42.0.0/20 }
`,
      { environment },
    );
    expect(config.dataDirectory).toBe("/data/vpn.example.org/x");
    expect(config.node.url).toBe("https://vpn.example.org:8443");
    expect(config.profiles[0]?.id).toBe("p7");
    expect(config.profiles[0]?.tunnel).toMatchObject({
      wakeUp: false,
      renegotiateSeconds: 1195,
      listeners: [{ port: 1195 }],
    });
  });

  it("are written literally with two dollars", async () => {
    const config = await configOf(least.replace("id: office", () => 'id: office, displayName: "a $${HOME} b $$ c"'));
    expect(config.profiles[0]?.displayName).toBe("a ${HOME} b $$ c");
  });

  it("are named where they are not set, all of them, and never found on a prototype", async () => {
    expect(await faultTexts(`${least}node: { url: "https://\${A}", hostName: "\${toString}" }\n`)).toEqual([
      "line 3, column 14: node.url: expected the environment variable A to be set, found no such variable",
      "line 3, column 40: node.hostName: expected the environment variable toString to be set, found no such variable",
    ]);
  });

  it("cannot bring keys, lines or YAML with them", async () => {
    const environment = { X: "Office\nnat: masquerade", Y: "{ a: 1 }" };
    expect(await faultTexts(least.replace("id: office", 'id: office, displayName: "${X}"'), { environment })).toEqual([
      "line 2, column 39: profiles[0].displayName: expected text on one line, found a control character or line break in it",
    ]);
    expect(
      (await configOf(least.replace("id: office", 'id: office, displayName: "${Y}"'), { environment })).profiles[0],
    ).toMatchObject({ displayName: "{ a: 1 }" });
  });

  it("are not printed where their value does not fit", async () => {
    const texts = await faultTexts(`${least}database: "\${DB}"\n`, { environment: { DB: "mysql://u:hunter2@h/d" } });
    expect(texts).toEqual([
      'line 3, column 11: database: expected sqlite, or a URL such as postgres://user@host/db, found "${DB}" with a value that is none',
    ]);
  });

  it("must be well named", async () => {
    expect((await faultTexts(`${least}node: { url: "\${1A}" }\n`))[0]).toContain("expected a variable's name");
    expect((await faultTexts(`${least}node: { url: "\${A" }\n`))[0]).toContain("expected a variable's name");
  });
});

describe("secrets", () => {
  const hooks = (rest: string) => `${least}hooks: [{ name: siem, webhook: "https://siem.example.org/", ${rest} }]\n`;

  it("come from a file beside the configuration, without the line break, and mask themselves", async () => {
    const { file, directory } = await configFile(hooks("secretFile: keys/siem.key"));
    await mkdir(join(directory, "keys"));
    await writeFile(join(directory, "keys/siem.key"), "correct horse\n", { mode: 0o600 });
    const config = await loadConfig({ file, environment: {}, refused: [] });
    const hook = config.hooks[0];
    expect(hook?.kind === "webhook" && hook.secret?.reveal()).toBe("correct horse");
    expect(inspect(config, { depth: 9 })).not.toContain("correct horse");
    expect(config.warnings).toEqual([]);
  });

  it("warn where others may read the file", async () => {
    const { file, directory } = await configFile(hooks("secretFile: siem.key"));
    await writeFile(join(directory, "siem.key"), "x");
    await chmod(join(directory, "siem.key"), 0o644);
    const { warnings } = await loadConfig({ file, environment: {}, refused: [] });
    expect(warnings).toEqual([
      `line 3: hooks[0].secretFile: ${join(directory, "siem.key")} may be read by others (mode 644): chmod 600 it`,
    ]);
  });

  it.each([
    ["missing", undefined, "no file there"],
    ["empty", "\n", "an empty file"],
    ["several lines", "a\nb\n", "a file with control characters or several lines"],
    ["large", "x".repeat(70_000), "a file of more than 65536 bytes"],
  ])("are refused where the file is %s", async (_, content, found) => {
    const { file, directory } = await configFile(hooks("secretFile: siem.key"));
    if (content !== undefined) await writeFile(join(directory, "siem.key"), content, { mode: 0o600 });
    const result = await readConfig({ file, environment: {}, refused: [] });
    expect("faults" in result && result.faults).toMatchObject([{ key: "hooks[0].secretFile", line: 3, found }]);
  });

  it("never appear in a fault", async () => {
    const text = `${least}database: "postgres//u:hunter2@h/d"\nhooks: [{ name: h, webhook: "https://x/", secret: [hunter2] }, { name: i, webhook: "https://x/", secret: "" }]\n`;
    const texts = await faultTexts(text, { refused: [] });
    expect(texts).toHaveLength(3);
    expect(texts.join("\n")).not.toContain("hunter2");
  });

  it("make up a database URL with the password from a file", async () => {
    const { file, directory } = await configFile(
      `${least}database: { url: "postgres://vpn@db/vpn", passwordFile: pw }\n`,
    );
    await writeFile(join(directory, "pw"), "p@ss/word\n", { mode: 0o600 });
    const config = await loadConfig({ file, environment: {}, refused: [] });
    expect(config.database.engine === "postgres" && config.database.url.reveal()).toBe(
      "postgres://vpn:p%40ss%2Fword@db/vpn",
    );
  });
});

describe("programs", () => {
  it("that are missing or not executable are told as warnings and keep nothing from starting", async () => {
    const { file, directory } = await configFile(
      `${least}connectScriptPath: ./none.sh\nhooks:\n  - { name: a, script: plain.sh }\n  - { name: b, script: . }\n  - { name: c, script: /bin/true, onFailure: deny }\n`,
    );
    await writeFile(join(directory, "plain.sh"), "#!/bin/sh\n", { mode: 0o644 });
    const { warnings } = await loadConfig({ file, environment: {} });
    expect(warnings).toEqual([
      "line 7: hooks[2].onFailure: has no effect: without veto: true this hook can refuse nobody",
      `line 3: connectScriptPath: ${join(directory, "none.sh")} is missing; until that is mended every connection is refused`,
      `line 5: hooks[0].script: ${join(directory, "plain.sh")} is not executable; until that is mended its events wait`,
      `line 6: hooks[1].script: ${directory} is a directory; until that is mended its events wait`,
    ]);
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
