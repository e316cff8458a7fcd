import { execFile } from "node:child_process";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PythonScripts, python, pythonScripts } from "./python-scripts.ts";

let scripts: PythonScripts;
beforeAll(async () => {
  scripts = await pythonScripts();
});
afterAll(() => scripts[Symbol.asyncDispose]());

const entry = "def post_auth(authcred, attributes, authret, info):\n    return authret\n";

describe("a script that can be loaded", () => {
  test("tells what its globals ask for", async () => {
    const { facts } = await scripts.host({
      text: [
        "SYNCHRONOUS = True",
        "AUTH_NULL = True",
        "RETAIN_PASSWORD = 1",
        "GROUP_SELECT = True",
        "STATIC_CHALLENGE = 'Type the code of your token'",
        "STATIC_CHALLENGE_ECHO = True",
        "def x509_track():",
        "    return ['CN', '+serialNumber']",
        entry,
      ].join("\n"),
    });
    expect(facts).toEqual({
      entry: "post_auth",
      synchronous: true,
      authNull: true,
      retainPassword: true,
      groupSelect: true,
      staticChallenge: "Type the code of your token",
      staticChallengeEcho: true,
      x509Track: ["CN", "+serialNumber"],
    });
  });

  test("asks for nothing by default", async () => {
    expect((await scripts.host({ text: entry })).facts).toEqual({
      entry: "post_auth",
      synchronous: false,
      authNull: false,
      retainPassword: false,
      groupSelect: false,
      staticChallenge: null,
      staticChallengeEcho: false,
      x509Track: [],
    });
  });

  test.each([
    ["with Windows line ends", entry.replaceAll("\n", "\r\n")],
    ["with tabs", entry.replaceAll("    ", "\t")],
    ["that takes its arguments as it likes", "def post_auth(*args, **more):\n    return args[2]\n"],
    ["with a default for a parameter of its own", entry.replace("info)", "info, cache={})")],
    ["that is an object", "class Gate:\n    def __call__(self, a, b, c, d):\n        return c\npost_auth = Gate()\n"],
    ["that would do more if it were run by itself", `${entry}if __name__ == '__main__':\n    raise SystemExit(1)\n`],
    ["with an encoding line", `# -*- coding: latin-1 -*-\nNAME = 'Zoë'\n${entry}`],
  ])("may be one %s", async (_what, text) => {
    expect((await scripts.host({ text })).facts.entry).toBe("post_auth");
  });

  test("prefers post_auth_cr where it defines both", async () => {
    const text = `${entry}def post_auth_cr(authcred, attributes, authret, info, crstate):\n    return authret\n`;
    expect((await scripts.host({ text })).facts.entry).toBe("post_auth_cr");
  });
});

describe("a script that cannot be loaded", () => {
  test.each([
    ["does not parse", "x = 1\ny = (2\n", /SyntaxError: '\(' was never closed/, 2],
    ["fails when it is run", "import json\n\njson.loads('nonsense')\n", /JSONDecodeError: Expecting value/, 3],
    ["fails in a function that it calls", "def f():\n    1 / 0\nf()\n", /ZeroDivisionError/, 2],
    [
      "needs a module that is not there",
      "\nimport no_such_module\n",
      /No module named 'no_such_module'; install it for .*python.*scripts\.python/,
      2,
    ],
    ["asks more of pyovpn", "import pyovpn.util\n", /there is pyovpn\.plugin with SUCCEED and FAIL/, 1],
    ["ends Python", "import sys\nsys.exit(3)\n", /SystemExit: 3/, 2],
    [
      "has no entry",
      "def postauth(a, b, c, d):\n    pass\n",
      /must define post_auth or post_auth_cr; it defines postauth/,
      null,
    ],
    ["defines nothing", "x = 1\n", /it defines no function/, null],
    ["has an entry that is no function", "post_auth = 3\n", /post_auth is int; it must be a function/, null],
    [
      "takes too few parameters",
      "\ndef post_auth(authcred, authret):\n    return authret\n",
      /found post_auth\(authcred, authret\) with 2 parameters; post_auth\(authcred, attributes, authret, info\) takes 4/,
      2,
    ],
    ["takes too many parameters", entry.replace("info", "info, more"), /with 5 parameters/, 1],
    [
      "forgets crstate",
      "def post_auth_cr(authcred, attributes, authret, info):\n    return authret\n",
      /with 4 parameters; post_auth_cr\(.*crstate\) takes 5/,
      1,
    ],
    ["is asynchronous", `async ${entry}`, /neither async nor a generator/, 1],
    ["is a generator", entry.replace("return", "yield"), /neither async nor a generator/, 1],
    [
      "has a static challenge of two lines",
      `STATIC_CHALLENGE = 'a\\nb'\n${entry}`,
      /STATIC_CHALLENGE must be one line/,
      null,
    ],
    ["has an x509_track that fails", `${entry}def x509_track():\n    return [][1]\n`, /IndexError/, 4],
    ["has an x509_track of the wrong form", `${entry}def x509_track():\n    return 'CN'\n`, /must return a list/, 3],
    ["holds a NUL", `${entry}\0`, /null bytes/, null],
    [
      "is nested too deep",
      `x = ${"(".repeat(5_000)}${")".repeat(5_000)}\n`,
      /too many nested parentheses|too complex|parser/,
      1,
    ],
  ])("because it %s, says so and where", async (_what, text, message, line) => {
    const fault = await scripts.fault(text);
    expect(fault.message).toMatch(message);
    expect(fault.line).toBe(line);
  });

  test("names the column of a syntax error", async () => {
    expect(await scripts.fault("x = 1 +* 2\n")).toMatchObject({ line: 1, column: 8 });
  });

  test.each([
    ["print 'hello'", 3],
    ["print >>log, 'hello'", 3],
    ["raise ValueError, 'no'", 3],
    ["exec 'x = 1'", 3],
    ["x = 0755", 3],
    ["x = 10L", 3],
    ["x = 1 <> 2", 3],
    ["x = `1`", 3],
    ["x = ur'a'", 3],
    ["import urllib2", 3],
    ["try:\n    pass\nexcept ValueError, error:\n    pass", 5],
    ["if True:\n        x = 1\n\ty = 2", 5],
  ])("is Python 2, and is told to be: %s", async (statement, line) => {
    const fault = await scripts.fault(`# one\n# two\n${statement}\n${entry}`);
    expect(fault.message).toMatch(/Python 2; 2to3 converts it/);
    expect(fault.line).toBe(line);
  });

  test.each([
    "print >>log, 'hello'",
    "authcred.has_key('username')",
    "for key, value in authcred.iteritems(): pass",
    "if isinstance(authcred['username'], unicode): pass",
    "if long(1) > 2: pass",
    "import urllib; urllib.urlopen('http://192.0.2.1/')",
  ])("is Python 2 in a line that Python 3 could read, and is told to be: %s", async (statement) => {
    const fault = await scripts.fault(
      `from pyovpn.plugin import *\ndef post_auth(authcred, attributes, authret, info):\n    ${statement}\n    return authret\n`,
    );
    expect(fault.message).toMatch(/Python 2; 2to3 converts it/);
    expect(fault.line).toBe(3);
  });

  test.each([
    "try:\n    text = unicode\nexcept NameError:\n    text = str",
    "import sys\nif sys.version_info[0] < 3:\n    text = unicode",
    "unicode = str\nx = unicode('a')",
    "from functools import reduce\nx = reduce(max, [1, 2])",
    "import string\ndef f(string): return string.split()",
    "import urllib.parse\nx = urllib.parse.quote('a b')",
    "class Table:\n    def iteritems(self): return []\n    def rows(self): return list(iteritems(self))\ndef iteritems(x): return x.items()",
  ])("is not Python 2 where it takes care of both: %s", async (statement) => {
    expect((await scripts.host({ text: `${statement}\n${entry}` })).facts.entry).toBe("post_auth");
  });

  test("is not taken for Python 2 because of any mistake", async () => {
    expect((await scripts.fault("def f(:\n    pass\n")).message).not.toMatch(/Python 2/);
  });
});

test("a script that never finishes loading is given up", async () => {
  await using slow = await pythonScripts({ loadDeadlineMs: 500 });
  expect((await slow.fault("import time\ntime.sleep(600)\n")).message).toMatch(/was not loaded within 0.5 s/);
});

test("a script that kills Python while it is loaded says so", async () => {
  expect((await scripts.fault("import os\nos._exit(7)\n")).message).toMatch(
    /Python ended with status 7 while it loaded/,
  );
  expect((await scripts.fault("import os\nos.kill(os.getpid(), 9)\n")).message).toMatch(/was killed by SIGKILL/);
});

test("a Python that is not there is a fault that names it", async () => {
  await using none = await pythonScripts({ python: "/nonexistent/python3" });
  expect((await none.fault(entry)).message).toMatch(/could not be started: \/nonexistent\/python3/);
});

test("the Python of a virtual environment brings its packages", async () => {
  const directory = await mkdtemp(join(tmpdir(), "venv-"));
  await chmod(directory, 0o755);
  await promisify(execFile)(python, ["-m", "venv", "--without-pip", "--symlinks", directory]);
  const [packages = ""] = await readdir(join(directory, "lib"));
  await writeFile(join(directory, "lib", packages, "site-packages/only_here.py"), "NAME = 'only here'\n");
  await using inside = await pythonScripts({ python: join(directory, "bin/python3") });
  await inside.host({ text: `from only_here import NAME\n${entry}` });
  expect((await scripts.fault(`from only_here import NAME\n${entry}`)).message).toContain("only_here");
  await rm(directory, { recursive: true });
});

test("a program that is no Python is a fault", async () => {
  await using none = await pythonScripts({ python: "/bin/true" });
  expect((await none.fault(entry)).message).toMatch(/Python ended with status [01]/);
});

test("the host is written for Python 3.9", async () => {
  const directory = join(import.meta.dirname, "../../../../sdk/python");
  const files = (await readdir(directory, { recursive: true })).filter((file) => file.endsWith(".py"));
  expect(files.length).toBeGreaterThan(8);
  const check = "import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path).read(), path, feature_version=(3, 9))";
  const paths = files.map((file) => join(directory, file));
  await promisify(execFile)(python, ["-c", check, ...paths]);
  for (const path of paths) expect((await readFile(path, "utf8")).split("\n").length, path).toBeLessThan(300);
});
