import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createSealing } from "../../src/core/sealing.ts";
import { sealedStore } from "../../src/store/sealed.ts";
import type { PendingChallenge, Store } from "../../src/store/store.ts";
import { openStoreHere } from "./open-here.ts";
import { sessionsSuite } from "./suite/sessions.ts";

const key = Buffer.alloc(32, 7);

async function openPlain(): Promise<{ plain: Store; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "sealed-"));
  return { plain: await openStoreHere(join(directory, "sallyport.db")), directory };
}

async function opened() {
  const { plain, directory } = await openPlain();
  onTestFinished(async () => {
    await plain.close();
    await rm(directory, { recursive: true });
  });
  const unreadable: string[] = [];
  const sealedWith = (bytes: Uint8Array) =>
    sealedStore(plain, { sealing: createSealing(bytes), onUnreadable: (what) => unreadable.push(what) });
  const onDisk = async () =>
    Buffer.concat(await Promise.all((await readdir(directory)).map((name) => readFile(join(directory, name)))));
  return { plain, store: sealedWith(key), sealedWith, unreadable, onDisk };
}

describe("a sealed store keeps what it is given as any other", () => {
  sessionsSuite(async () => {
    const { plain, directory } = await openPlain();
    return {
      store: sealedStore(plain, { sealing: createSealing(key), onUnreadable: () => {} }),
      cleanup: async () => {
        await plain.close();
        await rm(directory, { recursive: true });
      },
    };
  });
});

const challenge: PendingChallenge = {
  id: "state",
  userId: "alice",
  profileId: "office",
  serial: null,
  expiresAt: "2030-01-01T00:00:00.000Z",
  carried: { resume: { crstate: "hunter2-hunter2" } },
};
const now = "2029-12-31T00:00:00.000Z";
const session = {
  id: "s1",
  userId: "alice",
  signedInAs: "alice",
  profileId: "office",
  connectionId: "cn",
  createdAt: now,
  expiresAt: null,
  states: { gate: "correct horse" },
};

test("nothing that a script carries over is in the database's files as it was, and another process reads it", async () => {
  const { store, sealedWith, onDisk } = await opened();
  await store.challenges.put(challenge);
  await store.sessions.put(session);
  const written = await onDisk();
  expect(written.includes("alice")).toBe(true);
  for (const secret of ["hunter2", "correct horse"]) expect(written.includes(secret)).toBe(false);
  const later = sealedWith(key);
  expect(await later.challenges.take("state", now)).toEqual(challenge);
  expect(await later.sessions.get("s1")).toEqual(session);
});

test("with another key a question and a session are as if they had never been, and it is said", async () => {
  const { store, sealedWith, unreadable } = await opened();
  await store.challenges.put(challenge);
  await store.sessions.put(session);
  const other = sealedWith(Buffer.alloc(32, 8));
  expect(await other.challenges.take("state", now)).toBeUndefined();
  expect(await other.sessions.get("s1")).toBeUndefined();
  expect(unreadable).toEqual(["challenge", "session"]);
});

test("what one question carries is of no use in another's place", async () => {
  const { plain, store, unreadable } = await opened();
  await store.challenges.put(challenge);
  const stolen = await plain.challenges.take("state", now);
  await plain.challenges.put({ ...challenge, id: "mine", userId: "mallory", carried: stolen?.carried ?? {} });
  expect(await store.challenges.take("mine", now)).toBeUndefined();
  expect(unreadable).toEqual(["challenge"]);
});

test("what an earlier version kept is still read", async () => {
  const { plain, store } = await opened();
  await plain.challenges.put(challenge);
  await plain.sessions.put(session);
  expect(await store.challenges.take("state", now)).toEqual(challenge);
  expect(await store.sessions.get("s1")).toEqual(session);
});
