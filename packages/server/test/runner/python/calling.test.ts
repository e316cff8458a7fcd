import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ScriptHost } from "../../../src/runner/runner.ts";
import { until } from "../../waiting.ts";
import { account, callOf, type PythonScripts, pythonScripts, returned, scriptOf } from "./python-scripts.ts";

let scripts: PythonScripts;
beforeAll(async () => {
  scripts = await pythonScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

const script = (body: string): Promise<ScriptHost> => scripts.host({ text: scriptOf(body) });

async function proplist(host: ScriptHost, call = callOf()): Promise<Record<string, string>> {
  const { value } = returned(await host.call(call));
  return (value as { proplist: Record<string, string> }).proplist;
}

describe("what a script is given", () => {
  test("is what the server sent", async () => {
    const call = callOf({
      authcred: { client_hw_addr: "00:01:02:ab:cd:ef" },
      attributes: { client_info: { UV_ASCLI_VER: "3.5.0", IV_PLAT: "wïn 💻" } },
      authret: { proplist: { pvt_hw_addr: "00:01:02:ab:cd:ef" } },
      info: { auth_method: "radius", radius_reply: { 25: ["staff"], 26: ["a", "b"] } },
    });
    const { pvt_seen, pvt_radius_keys } = await proplist(await scripts.host({ fixture: "echo" }), call);
    expect(JSON.parse(pvt_seen ?? "")).toEqual(call.arguments);
    expect(pvt_radius_keys).toBe("int,int");
  });

  test("has a proplist even where the server sent none", async () => {
    const host = await script("authret['proplist']['conn_group'] = 'eng'\nreturn authret");
    expect(await proplist(host, callOf({ authret: { proplist: undefined } }))).toEqual({ conn_group: "eng" });
  });

  test("is an authret whose keys are attributes", async () => {
    const host = await script(
      [
        "assert authret.status == authret['status'] == 0 and authret.state is None",
        "authret.proplist['pvt_a'] = authret.user",
        "authret.reason = 'because'",
        "authret['client_reason'] = 'so'",
        "assert authret.client_reason == 'so' and authret['reason'] == 'because'",
        "del authret.client_reason",
        "assert 'client_reason' not in authret and not hasattr(authret, 'client_reason')",
        "import copy; authret = copy.deepcopy(authret)",
        "authret.status = 1",
        "return authret",
      ].join("\n"),
    );
    const { value } = returned(await host.call(callOf()));
    expect(value).toEqual({ status: 1, user: "alice", reason: "because", proplist: { pvt_a: "alice" } });
  });

  test("knows SUCCEED and FAIL without importing them, and pyovpn.plugin by every spelling", async () => {
    const host = await scripts.host({
      text: [
        "import pyovpn.plugin",
        "from pyovpn import plugin",
        "from pyovpn.plugin import SUCCEED as YES, FAIL as NO",
        "from pyovpn.plugin import *",
        "def post_auth(authcred, attributes, authret, info):",
        "    import builtins",
        "    assert (YES, NO) == (builtins.SUCCEED, builtins.FAIL) == (plugin.SUCCEED, plugin.FAIL) == (0, 1)",
        "    authret['status'] = FAIL",
        "    return authret",
      ].join("\n"),
    });
    expect(returned(await host.call(callOf())).value).toMatchObject({ status: 1 });
  });
});

describe("what a script returns", () => {
  let host: ScriptHost;
  beforeAll(async () => {
    host = await scripts.host({ fixture: "returns" });
  });
  const given = { status: 0, user: "alice", reason: "local auth succeeded", proplist: {} };

  test.each([
    ["authret", given],
    ["saving", [given, { pvt_seen: "yes" }]],
    ["ordered", given],
    ["enums", given],
    ["float", { ...given, status: { $float: "0.0" } }],
    ["fraction", { ...given, score: 0.5 }],
    ["bool", { ...given, status: false }],
    ["none", null],
    ["text", "SUCCEED"],
    ["three", [given, {}, {}]],
    ["surrogate", { ...given, reason: "\ud800" }],
  ])("comes as it is: %s", async (act, value) => {
    expect(returned(await host.call(callOf({ act }))).value).toEqual(value);
  });

  test.each([
    ["nan", "authret['score'] is nan, which cannot be returned"],
    ["bytes", "authret['proplist']['a'] is a bytes, which cannot be returned"],
    ["set", "authret['proplist']['a'] is a set, which cannot be returned"],
    ["key", "authret['proplist'] has the key 1; keys must be strings"],
    ["huge number", "authret['status'] is an integer of more than 64 bits"],
    ["huge", "the result is larger than 1048576 bytes"],
    ["many", "the result is larger than 1048576 bytes"],
    ["cyclic", /is nested more than 32 deep, or holds itself/],
    ["deep", /is nested more than 32 deep, or holds itself/],
    ["deferred", /returned a Twisted Deferred, which has no answer yet/],
    ["coroutine", /returned coroutine, which has no answer yet/],
    ["generator", "authret is a generator, which cannot be returned"],
    ["unpicklable state", /authret.state cannot be kept/],
  ])("is refused where it cannot be sent, with what it is: %s", async (act, message) => {
    const result = await host.call(callOf({ act }));
    expect(result.outcome === "unsendable" && result.message).toEqual(
      typeof message === "string" ? message : expect.stringMatching(message),
    );
  });
});

describe("an exception", () => {
  test("comes with its message and a traceback of the script's own lines", async () => {
    const host = await script(
      "def check(name):\n    raise ValueError('no room for ' + name)\ncheck(authcred['username'])",
    );
    expect(await host.call(callOf())).toMatchObject({ outcome: "raised", message: "no room for alice" });
    const { traceback } = (await host.call(callOf())) as { traceback: string };
    expect(traceback.split("\n")).toEqual(
      expect.arrayContaining([
        "Traceback (most recent call last):",
        '  File "script", line 4, in post_auth',
        "    check(authcred['username'])",
        '  File "script", line 3, in check',
        "ValueError: no room for alice",
      ]),
    );
    expect(traceback).not.toContain("sallyport");
  });

  test.each([
    ["{}['x']", "KeyError: 'x'"],
    ["raise Exception", "Exception"],
    ["import sys; sys.exit(0)", "the script called sys.exit(0)"],
    ["raise KeyboardInterrupt", "KeyboardInterrupt"],
    ["class E(Exception):\n    def __str__(self): raise self\nraise E", "E"],
    ["authret.nothing", "authret has no 'nothing'"],
    ["input()", "EOF when reading a line"],
  ])("is named even if it says little: %s", async (body, message) => {
    expect(await (await script(body)).call(callOf())).toMatchObject({ outcome: "raised", message });
  });

  test("of any length is kept in part", async () => {
    const result = await (await script("raise ValueError('x' * 10_000_000)")).call(callOf());
    expect(result.outcome === "raised" && result.message.length).toBeLessThan(3_000);
    expect(result.outcome === "raised" && result.traceback.length).toBeLessThan(20_000);
  });
});

describe("what a script prints", () => {
  test("belongs to the call, from print, sys.stdout and sys.stderr alike", async () => {
    const host = await script(
      "import sys, asyncio\nprint('one', 'ü')\nsys.stdout.write('two\\n')\nsys.stdout.buffer.write(b'three\\n')\n" +
        "print('four', file=sys.stderr)\nasync def five(): print('five', end='')\nasyncio.run(five())\nreturn authret",
    );
    expect(returned(await host.call(callOf())).printed).toBe("one ü\ntwo\nthree\nfour\nfive");
  });

  test("does not mix with what other calls print at the same time", async () => {
    const host = await script(
      "import time\nfor i in range(20):\n    print(authcred['username'], i)\n    time.sleep(0.001)\nreturn authret",
    );
    const names = Array.from({ length: 20 }, (_, i) => `user${i}`);
    const results = await Promise.all(names.map((username) => host.call(callOf({ authcred: { username } }))));
    for (const [i, { printed }] of results.entries()) {
      expect(printed).toBe(Array.from({ length: 20 }, (_, line) => `${names[i]} ${line}\n`).join(""));
    }
  });

  test("is known also where the call fails, dies or never ends", async () => {
    const fails = await script("print('before')\n1 / 0");
    expect(await fails.call(callOf())).toMatchObject({ outcome: "raised", printed: "before\n" });
    const dies = await script("print('before')\nimport os; os._exit(1)");
    expect(await dies.call(callOf())).toMatchObject({ outcome: "died", printed: "before\n" });
    const hangs = await script("print('before')\nimport time; time.sleep(600)");
    expect(await hangs.call(callOf({ deadlineMs: 500 }))).toMatchObject({ outcome: "timed-out", printed: "before\n" });
  });

  test("is kept up to a bound", async () => {
    const { printed } = returned(
      await (await script("print('x' * 10_000_000)\nprint('y')\nreturn authret")).call(callOf()),
    );
    expect(printed.length).toBeLessThan(70_000);
    expect(printed.slice(-60)).toMatch(/x\n\[9934467 more characters were printed\]$/);
  });

  test("by child processes and outside of calls goes to the log", async () => {
    const host = await scripts.host({
      text:
        "import os, subprocess\nprint('loading')\ndef post_auth(a, b, authret, d):\n" +
        "    subprocess.run('echo child; echo complaint > /dev/stderr', shell=True, check=True)\n" +
        "    os.write(1, b'raw')\n    return authret\n",
    });
    expect(returned(await host.call(callOf())).printed).toBe("");
    for (const word of ["loading", "child", "complaint", "raw"]) {
      await until(`${word} is logged`, () => scripts.logged().includes(word));
    }
  });
});

test("a script runs as a guest: its own account, environment and directory, and none of the daemon's files", async () => {
  process.env.SALLYPORT_TEST_SECRET = "visible";
  const host = await script(
    "import json, os, sys\n" +
      "fds = sorted(os.readlink('/proc/self/fd/%s' % fd).split(':')[0] for fd in os.listdir('/proc/self/fd') if int(fd) < 100 and os.path.lexists('/proc/self/fd/%s' % fd))\n" +
      "print(json.dumps({'uid': os.getuid(), 'groups': os.getgroups(), 'env': dict(os.environ), 'cwd': os.getcwd(), 'fds': fds, 'path': sys.path[0]}))\n" +
      "open('note', 'w').close()\nreturn authret",
  );
  const seen = JSON.parse(returned(await host.call(callOf())).printed);
  delete process.env.SALLYPORT_TEST_SECRET;
  if (account) expect(seen).toMatchObject({ uid: account.uid, groups: [] });
  expect(Object.keys(seen.env).sort()).toEqual(["HOME", "LANG", "PATH"]);
  expect(seen.env).toMatchObject({ LANG: "C.UTF-8", HOME: seen.cwd });
  expect(seen.cwd).toMatch(/work$/);
  expect(seen.path).not.toBe("");
  expect(seen.fds).toEqual(["/dev/null", "pipe", "pipe"]);
});
