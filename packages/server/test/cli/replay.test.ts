import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accountLookup } from "../../src/accounts/lookup.ts";
import type { ReplayReport } from "../../src/api/commands/post-auth-attempts.ts";
import { createPipeline } from "../../src/auth/pipeline.ts";
import { passed, type Step } from "../../src/auth/step.ts";
import { runPostAuth } from "../../src/auth/steps/run-post-auth.ts";
import { Secret } from "../../src/core/secret.ts";
import { createPostAuth, type PostAuthGate } from "../../src/post-auth/gate.ts";
import { createPythonLoader } from "../../src/runner/python/loader.ts";
import { startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;
let gate: PostAuthGate;
let files = 0;

const nothing = () => undefined;
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };

const live = `
def post_auth(authcred, attributes, authret, info):
    if authcred['username'] == 'quiet':
        authret['status'] = 1
        return authret
    if authcred['username'] == 'mallory':
        authret['status'] = 1
        authret['reason'] = 'mallory never'
        authret['client_reason'] = 'Not you.'
        return authret
    authret['proplist']['conn_group'] = 'eng'
    return authret
`;

beforeAll(async () => {
  daemon = await startTestDaemon();
  await daemon.json(["group", "add", "eng"]);
  await daemon.json(["group", "add", "ops"]);
  await store("gate", live);
  await daemon.json(["post-auth", "activate", "gate"]);
  const python = createPythonLoader({
    python: "/usr/bin/python3",
    workingDirectory: join(daemon.directory, "live"),
    log: silent,
  });
  gate = createPostAuth({ scripts: daemon.store.scripts, loaders: { python }, deadlineMs: () => 5000, log: silent });
});

afterAll(async () => {
  await gate.close();
  await daemon.close();
});

async function file(text: string): Promise<string> {
  files += 1;
  const path = join(daemon.directory, `script-${files}.py`);
  await writeFile(path, text);
  return path;
}

async function store(name: string, text: string): Promise<void> {
  await daemon.json(["post-auth", "add", name, await file(text)]);
}

/** An attempt through the real pipeline and the live script, recorded as the daemon records it. */
async function attempt(user: string, changes: { info?: object; answered?: boolean } = {}): Promise<string> {
  const method: Step = {
    name: "check method",
    run: async () =>
      passed("accepted", {
        userId: user,
        method: "local",
        methodReason: "local auth succeeded",
        info: changes.info ?? {},
      }),
  };
  const resumed: Step = {
    name: "resume challenge",
    run: async () =>
      changes.answered ? passed("the answer to a question of: post-auth") : { outcome: "skipped", detail: "none" },
  };
  const terms: Step = { name: "terms", run: async () => passed("read", { terms: await gate.terms() }) };
  const password: Step = {
    name: "decode credentials",
    run: async () =>
      passed("read", {
        credentials: {
          username: user,
          password: new Secret("hunter2"),
          staticResponse: new Secret("hunter3"),
          challenge: undefined,
        },
      }),
  };
  const lookup = accountLookup(daemon.store.accounts);
  const pipeline = createPipeline({
    steps: [password, resumed, method, terms, runPostAuth({ postAuth: gate, accounts: lookup })],
    challenges: daemon.store.challenges,
    mostQuestions: () => 10,
    usualSessionSeconds: async () => 0,
    record: (record) => daemon.store.attempts.record(record),
    onFault: (_id, _step, error) => {
      throw error;
    },
  });
  const decision = await pipeline.decide({
    kind: "connect",
    profileId: "office",
    protocol: "openvpn",
    username: user,
    password: new Secret("hunter2"),
    certificate: undefined,
    clientAddress: "192.0.2.7",
    clientPort: undefined,
    hardwareAddress: "00:01:02:ab:cd:ef",
    clientInfo: { IV_PLAT: "linux" },
    certificateFields: {},
  });
  return decision.attemptId;
}

async function replay(...args: string[]): Promise<ReplayReport> {
  return (await daemon.json(["post-auth", "replay", ...args])) as ReplayReport;
}

test("a real attempt becomes a case that the script passes, without any secret", async () => {
  for (const user of ["alice", "mallory", "quiet"]) {
    const id = await attempt(user);
    const { stdout, status } = await daemon.run(["post-auth", "record", id]);
    expect(status).toBe(0);
    expect(stdout).toContain("192.0.2.7");
    expect(stdout).toContain("00:01:02:ab:cd:ef");
    expect(stdout).not.toMatch(/hunter/);
    const cases = join(daemon.directory, `${user}.cases.yaml`);
    expect((await daemon.run(["post-auth", "record", id, "--out", cases])).status).toBe(0);
    expect(await readFile(cases, "utf8")).toBe(stdout);
    expect(await daemon.json(["post-auth", "test", "gate", "--cases", cases])).toMatchObject([{ passed: true }]);
    // Another decision fails it.
    const other = await file(`def post_auth(authcred, attributes, authret, info):
    authret['status'] = 1 if authcred['username'] == 'alice' else 0
    return authret
`);
    const failed = await daemon.run(["post-auth", "test", other, "--cases", cases]);
    expect(failed.status).toBe(1);
    expect((await daemon.run(["post-auth", "record", id, "--out", cases])).stderr).toContain("already-exists");
  }
});

test("a draft that decides the same differs for nobody, and one that does not is told with who and how", async () => {
  const [alice, mallory] = [await attempt("alice"), await attempt("mallory")];
  const same = await replay(await file(live));
  expect(same).toMatchObject({ chain: ["gate"], different: [], notReplayed: [] });
  expect(same.replayed).toBe(same.same);

  const draft = `
def post_auth(authcred, attributes, authret, info):
    if authcred['username'] == 'mallory':
        authret['proplist']['conn_group'] = 'eng'
    else:
        authret['proplist']['conn_group'] = 'ops'
    return authret
`;
  const before = await daemon.json(["post-auth", "versions", "gate"]);
  const { different } = await replay(await file(draft));
  expect(different.find(({ attemptId }) => attemptId === alice)?.differences).toEqual(['conn_group: "eng" -> "ops"']);
  expect(different.find(({ attemptId }) => attemptId === mallory)).toMatchObject({
    userId: "mallory",
    before: { outcome: "deny", code: "script-denied", reason: "mallory never" },
    after: { outcome: "allow" },
    differences: ["was refused, would be let in"],
  });
  expect(await daemon.json(["post-auth", "versions", "gate"])).toEqual(before);
  const { stdout } = await daemon.run(["post-auth", "replay", await file(draft)]);
  expect(stdout).toContain('  conn_group: "eng" -> "ops"\n');
});

test("a draft that would ask a question, save something or fail is told as that, and nothing is saved or asked", async () => {
  const id = await attempt("bob");
  const asks = `
def post_auth_cr(authcred, attributes, authret, info, crstate):
    crstate.challenge_post_auth(authret, "Your PIN?", echo=False)
    return authret, {'pvt_seen': 'yes'}
`;
  const asked = (await replay(await file(asks))).different.find(({ attemptId }) => attemptId === id);
  expect(asked?.differences).toEqual(['was let in, would be asked "Your PIN?"']);
  const fails = "def post_auth(authcred, attributes, authret, info):\n    return authret['no such key']\n";
  const failed = (await replay(await file(fails))).different.find(({ attemptId }) => attemptId === id);
  expect(failed).toMatchObject({ after: { outcome: "deny", code: "script-failed" } });
  expect(await daemon.store.accounts.properties({ kind: "user", name: "bob" })).toEqual({});
});

test("what cannot be known is counted and named instead of guessed", async () => {
  const answered = await attempt("carol", { answered: true });
  const directory = await attempt("dora", { info: { user_dn: "uid=dora,dc=example", search_base: "dc=example" } });
  const searches = `
def post_auth(authcred, attributes, authret, info):
    if 'ldap_context' in info:
        try:
            with info['ldap_context'] as ldap:
                ldap.search('dc=example', '(uid=dora)', attributes=['memberOf'])
        except Exception:
            pass
    authret['proplist']['conn_group'] = 'eng'
    return authret
`;
  const { notReplayed } = await replay(await file(searches));
  const named = (pattern: RegExp) => notReplayed.find(({ reason }) => pattern.test(reason));
  expect(named(/question was answered/)).toMatchObject({ count: 1, attempts: [answered] });
  expect(named(/searched the directory/)).toMatchObject({ count: 1, attempts: [directory] });

  const retains = `RETAIN_PASSWORD = True\n${live}`;
  const all = await replay(await file(retains));
  expect(all).toMatchObject({ replayed: 0, different: [] });
  expect(all.notReplayed.some(({ reason }) => reason.includes("RETAIN_PASSWORD"))).toBe(true);
});

test("a stored draft is tried in its own place among the active scripts, a file in the place that is named", async () => {
  await store("second", "def post_auth(authcred, attributes, authret, info):\n    return authret\n");
  await daemon.json(["post-auth", "activate", "second"]);
  try {
    expect(await replay("gate")).toMatchObject({ chain: ["gate", "second"], different: [] });
    const unclear = await daemon.run(["post-auth", "replay", await file(live)]);
    expect(unclear.stderr).toContain("say in whose place to try it (gate, second)");
    const placed = await replay(await file(live), "--in-place-of", "gate", "--since", "1h", "--limit", "2");
    expect(placed.chain).toEqual(["gate", "second"]);
    expect(placed.notReplayed.reduce((sum, one) => sum + one.count, placed.replayed)).toBe(2);
    expect((await replay("gate", "--since", "2999-01-01")).replayed).toBe(0);
  } finally {
    await daemon.json(["post-auth", "remove", "second"]);
  }
});

test("what differs between versions is shown as lines", async () => {
  await store("gate", live.replace("mallory never", "mallory not ever"));
  const { stdout } = await daemon.run(["post-auth", "diff", "gate"]);
  expect(stdout).toContain(
    "-        authret['reason'] = 'mallory never'\n+        authret['reason'] = 'mallory not ever'\n",
  );
  expect((await daemon.run(["post-auth", "diff", "gate", "1", "1"])).stdout).toBe("");
  expect((await daemon.run(["post-auth", "diff", "gate", "0"])).status).toBe(2);
  expect((await daemon.run(["post-auth", "diff", "gate", "9"])).stderr).toContain("no version 9");
});

test("a secret that a script puts among the properties is in no record", async () => {
  const secretive = "    authret['proplist']['pvt_google_auth_secret'] = 'JBSWY3DPEHPK3PXP'\n    return authret\n";
  await store("secretive", `def post_auth(authcred, attributes, authret, info):\n${secretive}`);
  await daemon.json(["post-auth", "activate", "secretive"]);
  await gate.reload();
  const id = await attempt("erin");
  await daemon.json(["post-auth", "remove", "secretive"]);
  await gate.reload();
  await daemon.store.attempts.flush();
  const record = await daemon.store.attempts.get(id);
  expect(record?.trace.at(-1)?.changes).toMatchObject({ pvt_google_auth_secret: [null, "[secret]"] });
  expect(JSON.stringify(record)).not.toContain("JBSWY3DP");
});

test("an attempt in which no script was asked makes no case", async () => {
  expect((await daemon.run(["post-auth", "record", "none"])).stderr).toContain("not-found");
});
