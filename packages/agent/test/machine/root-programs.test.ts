import { chmod, chown, lchown, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { believedForRoot, chooseForRoot } from "../../src/machine/root-programs.ts";

const nobody = 65_534;
const admin = 80;
let prefix: string;
const cellar = () => join(prefix, "Cellar/openvpn/2.6.14/sbin/openvpn");
const linked = () => join(prefix, "sbin/openvpn");

/** As Homebrew lays its files. */
async function install(uid: number, gid: number, mode = 0o775): Promise<void> {
  for (const name of ["Cellar/openvpn/2.6.14/sbin", "sbin"]) await mkdir(join(prefix, name), { recursive: true });
  await writeFile(cellar(), "#!/bin/sh\n", { mode: 0o755 });
  await symlink("../Cellar/openvpn/2.6.14/sbin/openvpn", linked());
  await lchown(linked(), uid, gid);
  for (const name of [".", "Cellar", "Cellar/openvpn", "Cellar/openvpn/2.6.14", "Cellar/openvpn/2.6.14/sbin", "sbin"]) {
    await chown(join(prefix, name), uid, gid);
    await chmod(join(prefix, name), mode);
  }
  await chown(cellar(), uid, gid);
}

beforeEach(async () => {
  // Below /var, which others cannot write to, as they can to a sticky /tmp.
  prefix = await mkdtemp("/var/lib/sallyport-prefix-");
});

afterEach(() => rm(prefix, { recursive: true }));

test("root runs what only root can change, and finds nothing where nothing is", async () => {
  await install(0, 0, 0o755);
  const believed = await believedForRoot([]);
  expect(await chooseForRoot(["/none", linked()], believed)).toBe(linked());
  expect(await chooseForRoot(["/none"], believed)).toBeUndefined();
});

test("what an account installed is run by root only when the owner has named that account", async () => {
  await install(nobody, admin);
  await expect(chooseForRoot([linked()], await believedForRoot([]))).rejects.toMatchObject({
    kind: "not-permitted",
    message: `Root does not run ${linked()}: nobody can change ${prefix}.`,
    next: expect.stringContaining("--programs-of nobody"),
  });
  await expect(chooseForRoot([linked()], await believedForRoot(["games", "no-such-account"]))).rejects.toThrow();
  expect(await chooseForRoot([linked()], await believedForRoot(["nobody"]))).toBe(linked());
  // Where one is root's alone, it is taken without asking.
  expect(await chooseForRoot([linked(), "/bin/sh"], await believedForRoot([]))).toBe("/bin/sh");
});

test.each([
  ["everybody can write to a directory above it", () => chmod(join(prefix, "Cellar"), 0o777), "everybody can change"],
  ["another group can", () => chown(join(prefix, "Cellar"), nobody, 60), "its group can change"],
  ["the file is another's", () => chown(cellar(), 1, 0), "daemon can change"],
  ["a link on the way is another's", () => lchown(linked(), 1, 0), "daemon can change"],
  ["a directory on the link's way is another's", () => chown(join(prefix, "Cellar/openvpn"), 1, 0), "daemon can"],
])("also of an account that was named nothing is run when %s", async (_title, change, words) => {
  await install(nobody, admin);
  await change();
  await expect(chooseForRoot([linked()], await believedForRoot(["nobody"]))).rejects.toThrow(words);
});

test("links are followed as the kernel follows them, and not for ever", async () => {
  await install(0, 0, 0o755);
  const believed = await believedForRoot([]);
  const theirs = join(prefix, "theirs");
  await mkdir(theirs);
  await symlink(cellar(), join(theirs, "hop"));
  await symlink(join(theirs, "hop"), join(prefix, "sbin/by-hops"));
  expect(await chooseForRoot([join(prefix, "sbin/by-hops")], believed)).toBe(join(prefix, "sbin/by-hops"));
  await chown(theirs, nobody, 0);
  await expect(chooseForRoot([join(prefix, "sbin/by-hops")], believed)).rejects.toThrow(theirs);
  await symlink("round", join(prefix, "round"));
  expect(await chooseForRoot([join(prefix, "round")], believed)).toBeUndefined();
});
