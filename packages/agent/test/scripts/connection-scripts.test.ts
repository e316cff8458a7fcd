import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bundle, newSigningKey, type SignedBundle, signBundle } from "@sallyport/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decide, type ScriptMode } from "../../src/consent/decide.ts";
import { readConsent } from "../../src/consent/store.ts";
import type { ConnectionScripts } from "../../src/scripts/connection-scripts.ts";
import { type PretendServer, pretendServer, script, ticket } from "./pretend-server.ts";
import { facts, scriptsOf } from "./scripts-of.ts";

let directory: string;
let server: PretendServer;
let told: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-scripts-"));
  server = await pretendServer(directory);
  told = [];
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

type Changes = { mode?: ScriptMode; answers?: string[]; asked?: string[]; refused?: string; publicKeys?: string[] };

function connectionScripts(changes: Changes = {}): ConnectionScripts {
  const { mode = "trust", answers, asked = [], refused, publicKeys } = changes;
  const config = { ...server.config, ...(publicKeys && { publicKeys }) };
  return scriptsOf(server, directory, {
    config,
    environment: { LD_PRELOAD: "/nowhere/evil.so", DISPLAY: ":7", PATH: "/nowhere", SECRET: "x" },
    userScriptsRefused: refused,
    decide: (one, fetched) =>
      decide(one, fetched, {
        mode,
        path: join(directory, "consent.json"),
        server: { serverId: config.serverId, publicKeys: config.publicKeys, name: "vpn.example.org" },
        ask:
          answers &&
          (async (text) => {
            asked.push(text);
            return answers.shift() ?? "";
          }),
      }),
    tell: (text) => told.push(text),
  });
}

/** One connection from up to down, ended by the user. */
async function once(scripts: ConnectionScripts, graceful = true): Promise<void> {
  scripts.connected(facts, 3);
  await scripts.finish(60_000);
  scripts.disconnected(graceful);
  await scripts.finish(60_000);
}

const record = () => join(directory, "record");
const recorded = () => readFile(record(), "utf8").catch(() => "");
const recording = (event: "connect" | "disconnect" = "connect") =>
  script({ name: `${event}.sh`, event, text: `#!/bin/sh\nenv | sort >>${record()}; cat >>${record()}\n` });

async function nothingRan(): Promise<void> {
  expect(await recorded()).toBe("");
  const base = join(directory, "scripts");
  if (existsSync(base)) expect(await readdir(base)).toEqual([]);
}

test("scripts get an environment made from nothing and the standard input that was set", async () => {
  server.scripts = [{ ...recording(), environment: { PREPATH: "/opt/tools", DRIVE: "a b=c" } }];
  server.answer = (request) => JSON.stringify(signBundle(server.bundleFor(request, { stdin: "line\n" }), server.key));
  await once(connectionScripts());
  const lines = (await recorded()).split("\n");
  const names = lines
    .map((line) => line.split("=")[0])
    .filter((name) => !["", "_", "PWD", "SHLVL", "OLDPWD"].includes(name ?? ""));
  expect(names).toEqual([
    ...["DISPLAY", "DRIVE", "GRACEFUL_DISCONNECT", "HOME", "LANG", "LOGNAME", "N_RECONNECTS", "PATH", "PREPATH"],
    ...["TMPDIR", "USER", "VPN_IP_FOUR", "VPN_PROFILE_ID", "VPN_SERVER", "VPN_USER_ID", "line"],
  ]);
  expect(lines).toContain("N_RECONNECTS=3");
  expect(lines).toContain("DRIVE=a b=c");
  expect(lines.find((line) => line.startsWith("PATH="))).toMatch(/^PATH=\/opt\/tools:\/usr\/local\/sbin:/);
  expect(await readdir(join(directory, "scripts"))).toEqual([]);
});

test("disconnect scripts come out of the bundle of the connect, and are told whether the user wanted it", async () => {
  server.scripts = [recording("disconnect")];
  await once(connectionScripts(), true);
  expect(await recorded()).toContain("GRACEFUL_DISCONNECT=1");
  await once(connectionScripts(), false);
  expect(await recorded()).toContain("GRACEFUL_DISCONNECT=0");
  expect(server.requests).toHaveLength(2);
});

test("how scripts came out is told to a server that asked for it", async () => {
  server.scripts = [script({ text: "#!/bin/sh\necho out; exit 3\n" }), { ...script(), privilege: "admin" }];
  server.answer = (request) =>
    JSON.stringify(signBundle(server.bundleFor(request, { report: { token: ticket } }), server.key));
  await once(connectionScripts());
  expect(server.reports.map(({ token }) => token)).toEqual([ticket, ticket]);
  expect(server.reports.flatMap(({ reports }) => reports)).toMatchObject([
    { outcome: "ran", exitCode: 3, output: "out\n", detail: null },
    { outcome: "refused", exitCode: null, detail: "no service here" },
  ]);
});

describe("nothing runs, and the person is told why", () => {
  const sealed = (bundle: Bundle): SignedBundle => signBundle(bundle, server.key);
  const changed = (answer: SignedBundle, change: (bundle: Bundle) => Bundle): string => {
    const bundle = JSON.parse(Buffer.from(answer.payload, "base64").toString("utf8"));
    return JSON.stringify({ ...answer, payload: Buffer.from(JSON.stringify(change(bundle))).toString("base64") });
  };
  let earlier: string | undefined;

  const attacks: [title: string, words: RegExp, answer: () => PretendServer["answer"]][] = [
    [
      "a script was changed on the way",
      /bad-signature/,
      () => (request) =>
        changed(sealed(server.bundleFor(request)), (bundle) => ({
          ...bundle,
          scripts: [script({ text: `#!/bin/sh\necho evil >${record()}\n` })],
        })),
    ],
    [
      "another group was written into it",
      /bad-signature/,
      () => (request) => changed(sealed(server.bundleFor(request)), (bundle) => ({ ...bundle, group: "admins" })),
    ],
    [
      "the text of a script is not what its hash says",
      /script-changed/,
      () => (request) =>
        JSON.stringify(sealed(server.bundleFor(request, { scripts: [{ ...recording(), sha256: "0".repeat(64) }] }))),
    ],
    [
      "it is an earlier one, recorded and sent again",
      /other-connection/,
      () => (request) => {
        earlier ??= JSON.stringify(sealed(server.bundleFor({ ...request, nonce: "n".repeat(32) })));
        return earlier;
      },
    ],
    [
      "it is the bundle of another user's ticket",
      /other-connection/,
      () => (request) => JSON.stringify(sealed(server.bundleFor({ ...request, ticket: `${ticket}-of-bob` }))),
    ],
    [
      "it is too old",
      /expired/,
      () => (request) => {
        const [issuedAt = "", expiresAt = ""] = [600_000, 300_000].map((ms) => new Date(Date.now() - ms).toISOString());
        return JSON.stringify(sealed(server.bundleFor(request, { issuedAt, expiresAt })));
      },
    ],
    [
      "it is another server's",
      /other-server/,
      () => (request) => JSON.stringify(sealed(server.bundleFor(request, { serverId: "server-2" }))),
    ],
    [
      "it is signed with a key that the client config does not name",
      /unknown-key/,
      () => (request) => JSON.stringify(signBundle(server.bundleFor(request), newSigningKey())),
    ],
    ["it is no bundle", /malformed/, () => () => "{}"],
    ["it is endless", /server's answer is too long/, () => () => "x".repeat(100 * 1024 * 1024)],
    [
      "a script of 100 MB is in it",
      /server's answer is too long/,
      // Spaces are a text's, too: made in no time, where signing so much takes a busy machine a minute.
      () => (request) =>
        JSON.stringify(sealed(server.bundleFor(request))).replace(
          '"payload":"',
          () => `"payload":"${" ".repeat(135_000_000)}`,
        ),
    ],
    [
      "a script of 2 MB is in it",
      /malformed/,
      () => (request) =>
        JSON.stringify(sealed(server.bundleFor(request, { scripts: [script({ text: "#".repeat(2_000_000) })] }))),
    ],
  ];

  test.each(attacks)("%s", async (_title, words, answer) => {
    server.scripts = [recording(), recording("disconnect")];
    server.answer = answer();
    await once(connectionScripts({ mode: "trust" }));
    expect(told.join("\n")).toMatch(words);
    await nothingRan();
  });

  test.each(["LD_PRELOAD", "IFS", "PATH", "BASH_ENV", "PYTHONSTARTUP", "NODE_OPTIONS", "HOME", "N_RECONNECTS"])(
    "%s is defined for it",
    async (name) => {
      server.scripts = [{ ...recording(), environment: { [name]: "/tmp/evil" } }];
      await once(connectionScripts());
      expect(told).toEqual([expect.stringContaining(`the agent's own: ${name}`)]);
      await nothingRan();
    },
  );

  test("the server's certificate is not of the client config's authority", async () => {
    server.config = { ...server.config, caPem: null };
    server.scripts = [recording()];
    await once(connectionScripts());
    expect(told.join("\n")).toMatch(/certificate/);
    expect(server.requests).toEqual([]);
    await nothingRan();
  });

  test("the agent is root and nobody allowed that", async () => {
    server.scripts = [recording()];
    await once(connectionScripts({ refused: "the agent runs as root" }));
    expect(told).toEqual(["script connect.sh: not run: the agent runs as root"]);
    await nothingRan();
  });
});

describe("consent", () => {
  test.each(["", "n", "no", "Y E S", "maybe"])("anything but a yes is a no: %j", async (answer) => {
    server.scripts = [recording()];
    await once(connectionScripts({ mode: "ask", answers: [answer] }));
    expect(told).toEqual(["script connect.sh: not run: you did not agree to it"]);
    await nothingRan();
  });

  test("nobody there to ask is a no", async () => {
    server.scripts = [recording()];
    await once(connectionScripts({ mode: "ask" }));
    expect(told[0]).toContain("nobody is here to ask");
    await nothingRan();
  });

  test("a yes counts for the text that was shown, and a changed one is asked about again", async () => {
    const asked: string[] = [];
    server.scripts = [recording()];
    await once(connectionScripts({ mode: "ask", answers: ["yes"], asked }));
    expect(asked[0]).toContain(server.scripts[0]?.sha256);
    expect(asked[0]).toContain("env | sort");
    await once(connectionScripts({ mode: "ask", asked }));
    expect((await recorded()).match(/N_RECONNECTS=3/g)).toHaveLength(2);
    server.scripts = [script({ text: `${recording().text}# changed\n` })];
    await once(connectionScripts({ mode: "ask", answers: ["no"], asked }));
    expect(asked).toHaveLength(2);
    expect((await recorded()).match(/N_RECONNECTS=3/g)).toHaveLength(2);
  });

  test("never is remembered", async () => {
    server.scripts = [recording()];
    await once(connectionScripts({ mode: "ask", answers: ["never"] }));
    await once(connectionScripts({ mode: "ask", answers: ["yes"] }));
    expect(told.at(-1)).toContain("never");
    await nothingRan();
  });

  test("a trusted server is not asked about again, until its key changes", async () => {
    const asked: string[] = [];
    server.scripts = [recording()];
    await once(connectionScripts({ mode: "ask", answers: ["trust"], asked }));
    server.scripts = [script({ name: "other.sh", text: `#!/bin/sh\necho again >>${record()}\n` })];
    await once(connectionScripts({ mode: "ask", asked }));
    expect(await recorded()).toContain("again");
    const key = newSigningKey();
    server.answer = (request) => JSON.stringify(signBundle(server.bundleFor(request), key));
    await once(connectionScripts({ mode: "ask", answers: ["no"], asked, publicKeys: [key.publicKey] }));
    expect(asked).toHaveLength(2);
    expect(asked[1]).toContain("KEY HAS CHANGED");
    expect((await recorded()).match(/again/g)).toHaveLength(1);
  });

  test("what was agreed to in a file that others can write to does not count", async () => {
    const path = join(directory, "consent.json");
    const trusting = {
      serverId: "server-1",
      name: "x",
      publicKeys: server.config.publicKeys,
      trusted: true,
      scripts: {},
    };
    await writeFile(path, JSON.stringify({ servers: [trusting] }), { mode: 0o600 });
    expect(await readConsent(path)).toHaveLength(1);
    await rm(path);
    await writeFile(path, JSON.stringify({ servers: [trusting] }));
    const { chmod } = await import("node:fs/promises");
    await chmod(path, 0o666);
    server.scripts = [recording()];
    await once(connectionScripts({ mode: "ask", answers: ["yes"] }));
    expect(told.join()).toContain("somebody else");
    await nothingRan();
  });
});
