import { execFileSync, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const checkout = resolve(import.meta.dirname, "../../..");
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "launchers-"));
});

afterAll(() => rm(directory, { recursive: true }));

test("sallyport starts from any working directory, through links to links, under the Node that came with it", async () => {
  await symlink(join(checkout, "bin/sallyport"), join(directory, "first"));
  await symlink("first", join(directory, "sally port"));
  // A machine's own node, should it be found, would fail at once.
  await mkdir(join(directory, "path"));
  await cp("/bin/false", join(directory, "path/node"));
  const env = { PATH: `${join(directory, "path")}:/usr/bin:/bin` };
  const run = spawnSync(join(directory, "sally port"), ["--help"], { cwd: "/", env, encoding: "utf8" });
  expect(run.stderr).toBe("");
  expect(run.stdout).toContain("Usage: sallyport");
  expect(run.status).toBe(0);
});

test("arguments and the exit status pass through unchanged", () => {
  const run = spawnSync(join(checkout, "bin/sallyport"), ["user", "no such verb $(x)"], { encoding: "utf8" });
  expect(run.stderr).toContain("no such verb $(x)");
  expect(run.status).toBe(2);
});

test("Access Server's two tools are there under their own names, also through links", async () => {
  await symlink(join(checkout, "bin/sacli"), join(directory, "sacli"));
  const sacli = spawnSync(join(directory, "sacli"), ["--user", "x", "NoSuchVerb"], { cwd: "/", encoding: "utf8" });
  expect(sacli.stderr).toContain("sacli has no verb NoSuchVerb");
  expect(sacli.status).toBe(2);
  const authcli = spawnSync(join(checkout, "bin/authcli"), ["--help"], { cwd: "/", encoding: "utf8" });
  expect(authcli.stdout).toContain("Usage: sallyport authcli");
  expect(authcli.status).toBe(0);
});

test("in a checkout that was not built the launcher says what to do", async () => {
  await cp(join(checkout, "bin"), join(directory, "bin"), { recursive: true });
  for (const name of ["sallyport", "sallyport-agent", "sacli", "authcli"]) {
    const run = spawnSync(join(directory, "bin", name), [], { encoding: "utf8" });
    const program = name.startsWith("sallyport") ? name : "sallyport";
    expect(run.stderr).toContain(`${program}: not built yet: run 'make build' in ${directory}`);
    expect(run.status).toBe(1);
  }
});

test("the Node that runs Sallyport is recent enough to run TypeScript", () => {
  const version = execFileSync(join(checkout, "node_modules/node/bin/node"), ["--version"], { encoding: "utf8" });
  expect(Number(version.match(/^v(\d+)/)?.[1])).toBeGreaterThanOrEqual(24);
});
