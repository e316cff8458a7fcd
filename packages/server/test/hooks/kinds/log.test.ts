import { execFile } from "node:child_process";
import { appendFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ConnectionEvent } from "@sallyport/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { logHook } from "../../../src/hooks/kinds/log.ts";

const run = promisify(execFile);
const options = { deadlineMs: 20_000, abort: new AbortController().signal };
let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "log-hook-"));
  path = join(directory, "connections.jsonl");
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const eventOf = (userId: string): ConnectionEvent => ({
  event: "C",
  eventId: `event of ${userId}`,
  sessionId: "session-1",
  attempt: 1,
  userId,
  profileId: "office",
  connectionId: "laptop",
  proto: "openvpn",
  nodeNumber: 0,
  nodeUrl: "https://vpn.example.org",
  nodeHostName: "vpn.example.org",
});

const lines = async (file = path) =>
  (await readFile(file, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

describe("a log hook", () => {
  it.each([true, false])("appends one line of JSON for each event (sync: %s)", async (sync) => {
    const tell = logHook({ path, sync });
    await writeFile(path, '{"before":true}\n');
    const names = ["alice", 'two\nlines "quoted"', "Zoë 🦊"];
    for (const name of names) expect(await tell(eventOf(name), options)).toMatchObject({ answer: "yes", error: null });
    expect(await lines()).toEqual([
      { before: true },
      ...names.map((name) => ({ at: expect.stringMatching(/^\d{4}-.*Z$/), ...eventOf(name) })),
    ]);
  });

  it("keeps lines whole when many events come at once", async () => {
    const tell = logHook({ path, sync: true });
    const names = Array.from({ length: 200 }, (_, i) => `user-${i}`);
    await Promise.all(names.map((name) => tell(eventOf(name), options)));
    expect((await lines()).map(({ userId }) => userId)).toEqual(names);
  });

  it("makes its file readable for its group and no others, whatever the umask", async () => {
    const before = process.umask(0o077);
    try {
      await logHook({ path, sync: true })(eventOf("alice"), options);
    } finally {
      process.umask(before);
    }
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it("begins a new file when its file was moved away", async () => {
    const tell = logHook({ path, sync: true });
    await tell(eventOf("before"), options);
    await rename(path, `${path}.1`);
    await tell(eventOf("after"), options);
    expect((await lines(`${path}.1`)).map(({ userId }) => userId)).toEqual(["before"]);
    expect((await lines()).map(({ userId }) => userId)).toEqual(["after"]);
  });

  it("ends a line that a power cut left unfinished before it begins its own", async () => {
    await appendFile(path, '{"torn":');
    await logHook({ path, sync: true })(eventOf("alice"), options);
    const [torn, whole] = (await readFile(path, "utf8")).split("\n");
    expect(torn).toBe('{"torn":');
    expect(JSON.parse(whole ?? "")).toMatchObject({ userId: "alice" });
  });

  it("that cannot write says why, and does when it can again", async () => {
    const tell = logHook({ path: join(directory, "logs/vpn.jsonl"), sync: true });
    expect(await tell(eventOf("alice"), options)).toMatchObject({
      answer: "failed",
      error: expect.stringMatching(/logs\/vpn.jsonl could not be written to: its directory does not exist/),
    });
    await mkdir(join(directory, "logs"));
    expect(await tell(eventOf("alice"), options)).toMatchObject({ answer: "yes" });
    expect(await logHook({ path: directory, sync: true })(eventOf("alice"), options)).toMatchObject({
      answer: "failed",
      error: expect.stringContaining("it is a directory"),
    });
  });

  it("does not wait for a reader of a pipe", async () => {
    await run("mkfifo", [path]);
    expect(await logHook({ path, sync: true })(eventOf("alice"), options)).toMatchObject({
      answer: "failed",
      error: expect.stringContaining("is not a file"),
    });
  });
});

describe.runIf(userInfo().uid === 0)("on a full disk", () => {
  it("no part of a line stays, and it is written when there is room", async () => {
    const disk = join(directory, "disk");
    await mkdir(disk);
    await run("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
    try {
      const file = join(disk, "vpn.jsonl");
      const tell = logHook({ path: file, sync: true });
      await tell(eventOf("first"), options);
      const long = "x".repeat(10_000);
      const told = [];
      for (let i = 0; i < 10; i += 1) told.push(await tell(eventOf(`${i}${long}`), options));
      const failed = told.filter(({ answer }) => answer === "failed");
      expect(failed.length).toBeGreaterThan(0);
      expect(failed[0]).toMatchObject({ error: expect.stringContaining("the disk is full") });
      expect(await lines(file)).toHaveLength(1 + told.length - failed.length);
      await rename(file, join(directory, "moved")).catch(async () => {
        await run("mv", [file, join(directory, "moved")]);
      });
      expect(await tell(eventOf("after"), options)).toMatchObject({ answer: "yes" });
      expect(await lines(file)).toHaveLength(1);
    } finally {
      await run("umount", [disk]);
    }
  });
});
