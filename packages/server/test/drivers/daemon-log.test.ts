import { mkdtemp, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { boundLog, lastWords } from "../../src/drivers/daemon-log.ts";

let directory: string;
let log: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "daemon-log-"));
  log = join(directory, "openvpn.log");
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("the log is kept within its bound, with one older part", async () => {
  await boundLog(log);
  await writeFile(log, "begin\n");
  await boundLog(log);
  expect(await readdir(directory)).toEqual(["openvpn.log"]);
  await truncate(log, 17 * 1024 * 1024);
  await boundLog(log);
  expect((await stat(log)).size).toBe(0);
  expect((await stat(`${log}.1`)).size).toBe(17 * 1024 * 1024);
});

test("a daemon's last words are the end of its log", async () => {
  const options = { program: "openvpn", log };
  expect(await lastWords(options)).toBe(`openvpn ended; its log ${log} ends with: (nothing)`);
  await writeFile(log, `${"x\n".repeat(10_000)}one\ntwo\nOptions error: three\n`);
  expect(await lastWords(options)).toMatch(/ends with: one \| two \| Options error: three$/);
});

test("lines that tell nothing are no last words", async () => {
  await writeFile(log, "why it ended\n│ advice\n");
  const said = await lastWords({ program: "wireguard-go", log, telling: (line) => !line.startsWith("│") });
  expect(said).toMatch(/ends with: why it ended$/);
});

test("the line in which a long log is cut is no last word, unless there is no other", async () => {
  const frame = `┌${"─".repeat(54)}┐\n│ advice │\n`;
  const words = { program: "wireguard-go", log, telling: (line: string) => !/^[│┌]/.test(line) };
  // A frame ends the log, and wherever it is cut nothing of it is told.
  for (let more = 0; more < frame.length; more += 1) {
    await writeFile(log, `${"x".repeat(more)}\n${frame.repeat(200)}`);
    expect(await lastWords(words)).toMatch(/ends with: \(nothing\)$/);
    await writeFile(log, `${frame.repeat(200)}${"│ x │\n".repeat(more % 20)}`);
    expect(await lastWords(words)).toMatch(/ends with: \(nothing\)$/);
  }
  await writeFile(log, `${"y".repeat(10_000)}\n`);
  expect(await lastWords(words)).toMatch(/ends with: y{4095}$/);
});
