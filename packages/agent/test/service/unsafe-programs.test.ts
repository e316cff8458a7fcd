import { chmod, chown, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { unsafePrograms } from "../../src/service/unsafe-programs.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "agent-programs-"));
});

afterEach(() => rm(directory, { recursive: true }));

test("programs are looked for where only root can put them, also by way of a link", async () => {
  const tools = join(directory, "tools");
  await mkdir(tools, { mode: 0o755 });
  await symlink(tools, join(directory, "link"));
  expect(await unsafePrograms(undefined)).toBeUndefined();
  expect(await unsafePrograms(`${tools}:${directory}/link`)).toBeUndefined();
});

test("never in a directory that is not there, or that others can put programs into", async () => {
  const open = join(directory, "open");
  await mkdir(open);
  await chmod(open, 0o1777);
  expect(await unsafePrograms(`/usr/bin:${open}`)).toContain(`${open}, where others can put programs`);
  expect(await unsafePrograms(join(directory, "none"))).toContain("is not there");
});

test("never in one that others can put another in the place of, wherever a link leads to it", async () => {
  const theirs = join(directory, "theirs");
  await mkdir(join(theirs, "tools"), { recursive: true, mode: 0o755 });
  await symlink(join(theirs, "tools"), join(directory, "link"));
  await chown(theirs, 65_534, 65_534);
  for (const path of [join(theirs, "tools"), join(directory, "link")])
    expect(await unsafePrograms(path)).toContain(`they can change ${theirs}`);
});
