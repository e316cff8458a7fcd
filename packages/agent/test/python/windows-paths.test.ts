import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { layerText } from "../../src/python/assets.ts";
import { keepSnapshot } from "../../src/python/snapshot.ts";

/** A drive is a directory here, as it is one for Python in WebAssembly; no Windows is needed for what is ours. */
const script = `
import os, shutil, sys, tempfile
users = "C:\\\\Users\\\\Ann"
assert os.path.exists(users) and os.path.isdir("c:/Users")
assert os.environ["temp"] == os.environ["TEMP"] == users + "\\\\Temp"
assert os.path.join(users, "x.msi") == users + "\\\\x.msi" and os.path.basename("C:\\\\a\\\\b.txt") == "b.txt"
assert os.path.expanduser("~") == users and os.sep == "\\\\" and os.name == "nt"
directory = tempfile.mkdtemp()
assert directory.startswith(users + "\\\\Temp\\\\"), directory
path = os.path.join(directory, "marker")
with open(path, "w") as file:
    file.write("written")
assert open(path).read() == "written" and os.stat(path).st_size == 7 and os.path.getsize(path) == 7
os.rename(path, path + ".old")
assert os.listdir(directory) == ["marker.old"] and [f for _, _, f in os.walk(directory)] == [["marker.old"]]
shutil.copy(path + ".old", users)
os.makedirs(os.path.join(directory, "a", "b"))
os.chdir(directory)
assert os.getcwd() == directory and os.path.abspath("a") == directory + "\\\\a" and os.path.exists("a\\\\b")
with open("a\\\\b\\\\c.exe", "w"):
    pass
os.environ["PATH"] = directory + "\\\\a\\\\b"
assert shutil.which("c") == directory + "\\\\a\\\\b\\\\c.exe"
os.chdir("C:\\\\")
shutil.rmtree(directory)
assert not os.path.exists(directory) and os.path.exists("\\\\Users\\\\Ann\\\\marker.old")
open("NUL", "w").close()
for missing in ("D:\\\\x", "\\\\\\\\server\\\\share\\\\x"):
    try:
        open(missing)
        raise SystemExit("opened " + missing)
    except FileNotFoundError:
        pass
print("done")
`;

test("scripts find Windows' paths, variables and names in the built-in Python", async () => {
  const drive = await mkdtemp(join(tmpdir(), "drive-"));
  await mkdir(join(drive, "Users/Ann/Temp"), { recursive: true });
  const environment = { Temp: "C:\\Users\\Ann\\Temp", UserProfile: "C:\\Users\\Ann", PathExt: ".EXE" };
  const start = `install_windows_paths({"c": ${JSON.stringify(drive)}}, ${JSON.stringify(environment)})`;
  const text = `${layerText("windows_paths.py")}\n${start}\n${script}`;
  const { stdout } = await promisify(execFile)("/usr/bin/python3", ["-I", "-c", text]);
  await rm(drive, { recursive: true });
  expect(stdout).toBe("done\n");
});

const whole = `#PYTHON
import os, platform, shutil, sys, tempfile, urllib
from scripthelper import digest_file
print(sys.platform, os.name, platform.system(), os.environ["username"], hasattr(os, "getuid"))
directory = tempfile.mkdtemp()
marker = os.path.join(directory, "marker")
f = file(marker, "w")
f.write("abc")
f.close()
print(digest_file(marker, "sha1"), os.listdir("C:\\\\Users"), directory.startswith(os.environ["TEMP"]))
shutil.rmtree(directory)
print(os.path.exists(marker), __file__)
`;

test("the built-in Python starts and lays out drives where Node says it is on Windows", {
  timeout: 120_000,
}, async () => {
  await keepSnapshot();
  const machine = await mkdtemp(join(tmpdir(), "windows-"));
  // Seen from here, this name is that of drive C.
  const user = join(machine, "C:\\", "Users/Ann");
  await mkdir(join(user, "Temp"), { recursive: true });
  await writeFile(join(user, "s.py"), whole);
  const pretend = 'Object.defineProperty(process, "platform", { value: "win32" }); process.getuid = undefined;';
  const main = resolve(import.meta.dirname, "../../src/python/main.ts");
  const args = ["--import", `data:text/javascript,${pretend}`, main, "--built-in-python", "C:\\Users\\Ann\\s.py"];
  const env = { TEMP: "C:\\Users\\Ann\\Temp", UserProfile: "C:\\Users\\Ann", UserName: "ann" };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: machine, env });
  await rm(machine, { recursive: true });
  expect(stdout.split("\n")).toEqual([
    "win32 nt Windows ann False",
    "a9993e364706816aba3e25717850c26c9cd0d89d ['Ann'] True",
    "False C:\\Users\\Ann\\s.py",
    "",
  ]);
});
