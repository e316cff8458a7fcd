import { beforeAll, describe, expect, test } from "vitest";
import { keepSnapshot } from "../../src/python/snapshot.ts";
import { runPython } from "./run-python.ts";

beforeAll(() => keepSnapshot());

/** What scripts of this kind do, each line an assertion of Python's. */
const capabilities = `#PYTHON
import hashlib, os, platform, subprocess, sys, tempfile, time
import scripthelper
assert (sys.platform, os.name, platform.system()) == ("linux", "posix", "Linux")
assert __name__ == "__main__" and sys.argv == [__file__] and os.path.exists(__file__)
assert os.environ["GREETING"] == "grüß dich"
assert set(os.environ) - {"LC_CTYPE"} == {"GREETING", "HOME", "PATH", "TMPDIR"}, sorted(os.environ)
assert sys.stdin.readline() == "first\\n" and sys.stdin.read() == "second"
assert os.getcwd() == os.environ["HOME"] and os.path.expanduser("~") == os.environ["HOME"]
assert os.system("exit 3") >> 8 == 3
assert subprocess.call("exit 4", shell=True) == 4
ran = subprocess.run(["sh", "-c", "cat; echo wrong >&2; exit 5"], input="in", capture_output=True, text=True)
assert (ran.returncode, ran.stdout, ran.stderr) == (5, "in", "wrong\\n"), ran
assert subprocess.check_output(["echo", "$HOME", "a b"]) == b"$HOME a b\\n"
assert subprocess.check_output("echo $GREETING", shell=True).decode() == "grüß dich\\n"
both = subprocess.run("echo out; echo err >&2", shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
assert both.stdout == b"out\\nerr\\n"
try:
    subprocess.check_call(["false"])
    raise SystemExit("no error")
except subprocess.CalledProcessError as error:
    assert error.returncode == 1
try:
    subprocess.call(["no-such-program"])
    raise SystemExit("no error")
except OSError:
    pass
try:
    subprocess.run(["sleep", "60"], timeout=0.1)
    raise SystemExit("no time-out")
except subprocess.TimeoutExpired:
    pass
cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
cat.stdin.write(b"a line\\n")
cat.stdin.flush()
assert cat.stdout.readline() == b"a line\\n" and cat.poll() is None
cat.terminate()
assert cat.wait() == -15
big = "x" * 3000000
assert subprocess.run(["cat"], input=big, stdout=subprocess.PIPE, text=True).stdout == big
path = os.path.join(tempfile.mkdtemp(), "file")
with open(path, "w") as out:
    subprocess.check_call(["printf", "written"], stdout=out)
assert open(path).read() == "written" and os.stat(path).st_size == 7
os.rename(path, path + "2")
assert os.listdir(os.path.dirname(path)) == ["file2"] and not os.path.exists(path)
directory = os.path.dirname(path)
before = os.umask(0o027)
open(directory + "/usual", "w").close()
os.mkdir(directory + "/directory")
os.close(os.open(directory + "/private", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
assert os.umask(before) == 0o027
modes = subprocess.check_output("stat -c %a usual directory private", shell=True, cwd=directory)
assert modes.split() == [b"640", b"750", b"600"], modes
for algorithm in ("sha1", "SHA-1", hashlib.sha1):
    assert scripthelper.digest_file(path + "2", algorithm) == hashlib.sha1(b"written").hexdigest()
begun = time.time()
time.sleep(0.05)
assert time.time() - begun > 0.04
print("done", end="")
sys.stdout.flush()
sys.exit(6)
`;

const python2 = `#PYTHON
import ConfigParser, StringIO, commands, md5, urllib, urllib2
marker = file("marker", "w")
marker.write(unicode("x") * 2)
marker.close()
assert isinstance(marker, file) and file("marker").read() == "xx"
assert urllib.quote("a b") == "a%20b" and urllib.urlencode({"a": "b c"}) == "a=b+c"
assert callable(urllib.urlretrieve) and callable(urllib.urlopen)
assert urllib2.Request("http://a/b").get_full_url() == "http://a/b" and issubclass(urllib2.HTTPError, urllib2.URLError)
assert commands.getoutput("echo hi") == "hi"
assert md5.new(b"").hexdigest() == md5.md5(b"").hexdigest()
assert list(xrange(2)) == [0, 1] and long("5") == 5 and cmp(1, 2) == -1
assert StringIO.StringIO("a").read() == "a"
`;

describe.each(["builtin", "system"] as const)("the %s Python", { timeout: 120_000 }, (python) => {
  test.concurrent("does what client scripts use, with the script's environment, input and exit status", async () => {
    const environment = { GREETING: "grüß dich" };
    const outcome = await runPython(capabilities, python, { environment, stdin: "first\nsecond" });
    expect(outcome).toMatchObject({ status: 6, out: "done", error: "" });
  });

  test.concurrent("knows Python 2's names", async () => {
    expect(await runPython(python2, python)).toMatchObject({ status: 0, out: "", error: "" });
  });

  test.concurrent("tells an uncaught exception with the script's own lines, and nothing of ours", async () => {
    const { status, error } = await runPython(
      "#PYTHON\nimport os\n\ndef f():\n    return {}['missing']\nf()\n",
      python,
    );
    expect(status).toBe(1);
    expect(error).toMatch(/^Traceback.*\n {2}File ".*sample\.py", line 6, in <module>\n/);
    expect(error).toMatch(/line 5, in f\n[\s\S]*KeyError: 'missing'\n$/);
  });

  test.concurrent("dies with all that it started when its process group is killed", async () => {
    const text = "#PYTHON\nimport subprocess\nprint('begun', flush=True)\nsubprocess.call(['sleep', '600'])\n";
    const outcome = await runPython(text, python, { killAfter: (out) => out.includes("begun") });
    expect(outcome).toMatchObject({ status: null, signal: "SIGKILL" });
  });
});

test.each([
  ["a print statement", 'import os\n\nprint "hello"\n', 3, "a print statement"],
  ["a print to a file", 'import sys\nprint >>sys.stderr, "hello"\n', 2, "a print statement"],
  ["a print in a block", "if True:\n    print 'a', 1\n", 2, "a print statement"],
  ["an empty print", "x = 1\nprint\n", 2, "a print statement"],
  ["except with a comma", "try:\n    pass\nexcept IOError, e:\n    pass\n", 3, "an except clause with a comma"],
  ["raise with a comma", "raise ValueError, 'x'\n", 1, "a raise with a comma"],
  ["an old octal number", "import os\nos.chmod('x', 0755)\n", 2, "an octal number"],
])(
  "Python 2's %s is refused before anything runs, naming the line and what converts it",
  async (_t, text, line, what) => {
    const outcome = await runPython(`#PYTHON\n${text}`, "system");
    expect(outcome).toMatchObject({ status: 1, out: "" });
    expect(outcome.error).toBe(
      `sample.py, line ${line + 1}: ${outcome.error.split(": ")[1]}: this is Python 2; 2to3 converts it (2to3 -w FILE)\n`,
    );
    expect(outcome.error).toContain(what);
  },
);

test("the built-in Python, which reads an except clause with a comma in its own way, refuses Python 2 too", {
  timeout: 120_000,
}, async () => {
  const { error } = await runPython("#PYTHON\ntry:\n    pass\nexcept IOError, e:\n    pass\n", "builtin");
  expect(error).toContain("line 4: an except clause with a comma");
});

test("what WebAssembly cannot do says so", { timeout: 120_000 }, async () => {
  const text = "#PYTHON\nimport threading\nthreading.Thread(target=print).start()\n";
  const { status, error } = await runPython(text, "builtin");
  expect(status).toBe(1);
  expect(error).toContain("threading is not there in the built-in Python");
});
