import { chmod, chown, lstat, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makePrivateDirectory } from "../../src/machine/private-directory.ts";

let root: string;

/** As macOS has them: /var is a link to /private/var. */
beforeEach(async () => {
  root = await mkdtemp("/var/lib/sallyport-private-");
  await mkdir(join(root, "private/var/db"), { recursive: true, mode: 0o755 });
  await symlink("private/var", join(root, "var"));
});

afterEach(() => rm(root, { recursive: true }));

const wanted = () => join(root, "var/db/sallyport-agent/scripts");

test("a directory behind a link of the system's is made for this account alone, with what is above it", async () => {
  await makePrivateDirectory(wanted());
  await makePrivateDirectory(wanted());
  expect((await lstat(join(root, "private/var/db/sallyport-agent/scripts"))).mode & 0o777).toBe(0o700);
});

test.each([
  ["a directory that the link leads through is everybody's", () => chmod(join(root, "private"), 0o777), "private"],
  ["one that it leads through is another's", () => chown(join(root, "private"), 65_534, 0), "private"],
  ["one above it is its group's", () => chmod(join(root, "private/var/db"), 0o775), "var/db"],
])("nothing is made where others could change it: %s", async (_title, change, where) => {
  await change();
  await expect(makePrivateDirectory(wanted())).rejects.toThrow(`can write to ${join(root, where)}`);
});

test("in a directory of everybody's that is sticky nobody can put theirs in its place", async () => {
  await chmod(join(root, "private/var/db"), 0o1777);
  await makePrivateDirectory(wanted());
});

test("a link in the place of the directory itself is refused", async () => {
  await mkdir(join(root, "var/db/sallyport-agent"), { mode: 0o700 });
  await mkdir(join(root, "elsewhere"), { mode: 0o700 });
  await symlink(join(root, "elsewhere"), wanted());
  await expect(makePrivateDirectory(wanted())).rejects.toMatchObject({
    message: expect.stringContaining("no link"),
    next: expect.stringContaining("SALLYPORT_AGENT_DIRECTORY"),
  });
});
