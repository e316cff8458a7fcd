import { expect, test } from "vitest";
import { SallyportError } from "../../src/core/errors.ts";
import { until } from "../waiting.ts";
import { bench, inputOf, scriptOf } from "./scripts-under-test.ts";

test("with no script active everybody passes, except whom a script must decide on", async () => {
  await using under = await bench();
  expect(await under.gate.terms()).toEqual({ loaded: false, authNull: false, groupSelect: false });
  expect(await under.gate.decide(inputOf({ authret: { proplist: { a: "b" } } }))).toMatchObject({
    outcome: "allow",
    reason: "local auth succeeded",
    properties: { a: "b" },
  });
  expect(await under.gate.decide(inputOf({ info: { auth_method: "pas_only" } }))).toMatchObject({
    outcome: "deny",
    code: "script-missing",
  });
});

test("the terms are those of all active scripts together", async () => {
  await using under = await bench();
  await under.live("one", scriptOf("", "AUTH_NULL = True"));
  await under.live("two", scriptOf("", "GROUP_SELECT = True"));
  expect(await under.gate.terms()).toEqual({ loaded: true, authNull: true, groupSelect: true });
  expect((await under.gate.scripts()).map(({ name, version, facts }) => [name, version, facts?.authNull])).toEqual([
    ["one", 1, true],
    ["two", 1, false],
  ]);
});

test("several scripts decide in order: each sees what the one before did, and the first denial ends it", async () => {
  await using under = await bench();
  await under.live(
    "one",
    scriptOf(
      "authret['proplist']['pvt_a'] = '1'\nauthret['user'] = 'bob'\nauthret['note'] = [1]\nreturn authret, {'pvt_s': '1', 'pvt_t': '1'}",
    ),
  );
  await under.live(
    "two",
    scriptOf(
      "assert authret.user == 'bob' and authret.note == [1] and authcred['username'] == 'alice'\nauthret['proplist']['pvt_b'] = authret['proplist']['pvt_a']\nreturn authret, {'pvt_t': '2'}",
    ),
  );
  expect(await under.gate.decide(inputOf())).toMatchObject({
    outcome: "allow",
    user: "bob",
    properties: { pvt_a: "1", pvt_b: "1" },
    save: { pvt_s: "1", pvt_t: "2" },
    by: "one (version 1), two (version 1)",
  });
  await under.live("two", scriptOf("authret['status'] = FAIL\nauthret['reason'] = 'enough'"));
  await under.live("three", scriptOf("print('never')"));
  const verdict = await under.gate.decide(inputOf());
  expect(verdict).toMatchObject({ outcome: "deny", code: "script-denied", reason: "enough", save: {}, printed: "" });
  expect(verdict.by).toBe("two (version 2)");
});

test("a script that does not answer in time denies as an outage", async () => {
  await using under = await bench({ deadlineMs: 400 });
  await under.live("slow", scriptOf("import time; time.sleep(600)"));
  expect(await under.gate.decide(inputOf())).toMatchObject({
    outcome: "deny",
    code: "script-timed-out",
    reason: "the post-auth script slow did not answer within 0.4 s",
    clientReason: null,
  });
});

test("a script whose process dies denies as an outage", async () => {
  await using under = await bench();
  await under.live("mortal", scriptOf("import os; os._exit(9)"));
  expect(await under.gate.decide(inputOf())).toMatchObject({
    outcome: "deny",
    code: "script-failed",
    reason: "the post-auth script mortal: the script's process ended with status 9",
  });
});

test("an active script that cannot be loaded denies everybody by name, until it can", async () => {
  await using under = await bench();
  await under.live("fine", scriptOf(""));
  await under.live("broken", "import json\njson.loads('nonsense')\n");
  // Nobody is told that a password was wrong while nobody can come in.
  expect(await under.gate.terms()).toMatchObject({ loaded: true, authNull: true });
  expect(await under.gate.decide(inputOf())).toMatchObject({
    outcome: "deny",
    code: "script-not-loaded",
    reason: expect.stringMatching(
      /active post-auth script broken \(version 1\) cannot be loaded: line 2: .*JSONDecodeError/,
    ),
  });
  expect((await under.gate.scripts()).map(({ name, fault }) => [name, fault === null])).toEqual([
    ["fine", true],
    ["broken", false],
  ]);
  await under.live("broken", scriptOf("", "AUTH_NULL = False"));
  expect((await under.gate.decide(inputOf())).outcome).toBe("allow");
});

test("whoever was let through to a script that decides alone is not let in by those that replaced it", async () => {
  await using under = await bench();
  await under.live("alone", scriptOf("", "AUTH_NULL = True"));
  const terms = await under.gate.terms();
  await under.live("alone", scriptOf(""));
  const verdict = await under.gate.decide(inputOf({ info: { auth_method: "pas_only" } }), { terms });
  expect(verdict).toMatchObject({ outcome: "deny", code: "too-busy" });
});

/** Says its version and process, and waits for a file where it is told to. */
const waits = (version: number, globals = "") =>
  scriptOf(
    `import os, time\nprint(${version}, os.getpid(), os.getcwd())\nact = attributes['client_info'].get('UV_ACT')\nwhile act and not os.path.exists(act): time.sleep(0.02)`,
    globals,
  );

test("a reload swaps versions without touching calls under way, and keeps processes that stay", async () => {
  await using under = await bench();
  await under.live("stays", scriptOf("import os; print('stays', os.getpid())"));
  await under.live("changes", waits(1));
  const [, stays = ""] = (await under.gate.decide(inputOf())).printed.split("\n");
  const old = under.gate.decide(inputOf({ act: "go" }));
  await under.live("changes", waits(2));
  const { printed } = await under.gate.decide(inputOf());
  expect(printed).toContain(stays);
  expect(printed).toMatch(/\n2 \d+/);
  const directory = printed.trim().split(" ").at(-1) ?? "";
  const { writeFile } = await import("node:fs/promises");
  await writeFile(`${directory}/go`, "");
  expect(await old).toMatchObject({ outcome: "allow", printed: expect.stringMatching(/\n1 \d+/) });
});

test("a SYNCHRONOUS script is not called in two versions at once", async () => {
  await using under = await bench();
  const exclusive = scriptOf(
    "import os, time\nos.mkdir('lock')\ntime.sleep(0.3)\nos.rmdir('lock')",
    "SYNCHRONOUS = True",
  );
  await under.live("one-at-a-time", exclusive);
  const calls = [under.gate.decide(inputOf()), under.gate.decide(inputOf())];
  await under.live("one-at-a-time", `# another version\n${exclusive}`);
  calls.push(under.gate.decide(inputOf()), under.gate.decide(inputOf()));
  for (const verdict of await Promise.all(calls)) expect(verdict).toMatchObject({ outcome: "allow" });
});

test("a reload that fails leaves what was live", async () => {
  await using under = await bench();
  await under.live("one", scriptOf("print('one')"));
  under.store.breakDown(new SallyportError("store-unavailable", "the disk is full"));
  await expect(under.gate.reload()).rejects.toThrow("the disk is full");
  expect(await under.gate.decide(inputOf())).toMatchObject({ outcome: "allow", printed: "one\n" });
  under.store.breakDown(undefined);
  await under.live("one", scriptOf("print('two')"));
  expect((await under.gate.decide(inputOf())).printed).toBe("two\n");
});

test("closing ends every process", async () => {
  const under = await bench();
  await under.live("one", scriptOf("import os; print(os.getpid())"));
  const pid = Number((await under.gate.decide(inputOf())).printed);
  await under[Symbol.asyncDispose]();
  await until("the process is gone", () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
});
