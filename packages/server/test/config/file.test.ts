// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what the configuration replaces.
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { loadConfig, readConfig } from "../../src/config/load.ts";
import { configFile, configOf, faultTexts, least } from "./reading.ts";

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
