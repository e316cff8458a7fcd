import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSigningKeys } from "../../src/client-scripts/signing-keys.ts";

let parent: string;
let directory: string;
let file: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "signing-keys-"));
  directory = join(parent, "client-scripts");
  file = join(directory, "signing-keys.json");
});
afterEach(() => rm(parent, { recursive: true, force: true }));

test("the first key is made once, for root's eyes only, and is there again after a restart", async () => {
  const keys = await openSigningKeys({ directory });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  const again = await openSigningKeys({ directory });
  expect(again.serverId()).toBe(keys.serverId());
  expect(again.list()).toEqual(keys.list());
  expect(again.current().publicKey).toBe(keys.current().publicKey);
  expect(keys.list()).toMatchObject([{ current: true, announced: false }]);
});

test("a rotation keeps the server's id, destroys the old key, and survives a restart", async () => {
  const keys = await openSigningKeys({ directory });
  const { serverId } = keys;
  const before = serverId();
  const old = keys.current();
  const oldPem = old.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const made = await keys.rotate({ announce: true });
  expect(made).toMatchObject({ id: keys.current().id, current: true, announced: true });
  expect(keys.current().publicKey).not.toBe(old.publicKey);
  expect(keys.serverId()).toBe(before);
  const kept = await readFile(file, "utf8");
  expect(kept).not.toContain(JSON.stringify(oldPem).slice(30, 80));
  const again = await openSigningKeys({ directory });
  expect(again.current().publicKey).toBe(keys.current().publicKey);
  expect(again.announcements()).toEqual(keys.announcements());
  expect(again.list().map(({ current }) => current)).toEqual([false, true]);
});

test("rotations that are asked for at once follow one another, and each leaves its word", async () => {
  const keys = await openSigningKeys({ directory });
  await Promise.all([1, 2, 3].map(() => keys.rotate({ announce: true })));
  expect(keys.list()).toHaveLength(4);
  expect(keys.announcements()).toHaveLength(3);
  await keys.rotate({ announce: false });
  expect(keys.announcements()).toEqual([]);
});

test("a file that cannot be read is not replaced: the server does not start, and says what to do", async () => {
  await openSigningKeys({ directory });
  for (const broken of ["", "{", '{"serverId":"x"}']) {
    await writeFile(file, broken);
    await expect(openSigningKeys({ directory })).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringContaining("issue every client config anew"),
    });
    expect(await readFile(file, "utf8")).toBe(broken);
  }
});
