import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { openAuthority } from "../../src/client-configs/authority.ts";
import { newDirectory, openssl } from "./directory.ts";

const execute = promisify(execFile);
const fixture = new URL("fixtures/open-authority.ts", import.meta.url).pathname;
const yearMs = 365 * 86_400_000;
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;
const authorityFiles = ["ca.crt", "ca.key", "tls-crypt-v2-server.key"];

async function everything(directory: string): Promise<string[]> {
  return (await readdir(directory, { recursive: true })).map((name) => join(directory, name));
}

describe("an authority", () => {
  it("is made on first use and is the same ever after", async () => {
    const directory = join(await newDirectory(), "data/pki");
    const first = await openAuthority({ directory });
    const second = await openAuthority({ directory });
    expect(first.caPem).toBe(second.caPem);
    expect(await first.serverFiles("office")).toEqual(await second.serverFiles("office"));
    expect((await openAuthority({ directory: await newDirectory() })).caPem).not.toBe(first.caPem);
    const years = (first.notAfter.getTime() - Date.now()) / yearMs;
    expect(years).toBeGreaterThan(19.9);
    expect(years).toBeLessThan(20.1);
  });

  it("may be read by its owner alone, whatever the umask was, and looser modes are put right", async () => {
    const directory = join(await newDirectory(), "pki");
    await execute("/bin/sh", ["-c", 'umask 0; exec "$0" "$@"', process.execPath, fixture, directory]);
    await (await openAuthority({ directory })).serverFiles("office");
    for (const path of [directory, ...(await everything(directory))])
      expect([path, await modeOf(path)]).toEqual([path, (await stat(path)).isDirectory() ? 0o700 : 0o600]);
    await chmod(directory, 0o755);
    await chmod(join(directory, "authority/ca.key"), 0o644);
    await openAuthority({ directory });
    expect(await modeOf(directory)).toBe(0o700);
    expect(await modeOf(join(directory, "authority/ca.key"))).toBe(0o600);
  });

  it("is made once, however many processes start at once", async () => {
    const directory = join(await newDirectory(), "pki");
    const started = Array.from({ length: 4 }, () => execute(process.execPath, [fixture, directory]));
    const here = Array.from({ length: 4 }, async () => `begin\n${(await openAuthority({ directory })).caPem}`);
    const seen = [...(await Promise.all(started)).map(({ stdout }) => stdout), ...(await Promise.all(here))];
    expect(new Set(seen).size).toBe(1);
    expect((await readdir(directory)).sort()).toEqual(["authority", "servers"]);
  });

  it("is whole or not there, whenever the process making it is killed", async () => {
    const parent = await newDirectory();
    for (let i = 0; i < 12; i++) {
      const directory = join(parent, String(i));
      const child = spawn(process.execPath, [fixture, directory], { stdio: ["ignore", "pipe", "inherit"] });
      const ended = once(child, "exit");
      await once(child.stdout, "data");
      for (let turns = 0; turns < i * 40; turns++) await new Promise((resolve) => setImmediate(resolve));
      child.kill("SIGKILL");
      await ended;
      const names: string[] = await readdir(directory).catch(() => []);
      if (names.includes("authority"))
        expect((await readdir(join(directory, "authority"))).sort()).toEqual(authorityFiles);
      expect((await openAuthority({ directory })).caPem).toContain("BEGIN CERTIFICATE");
    }
  });

  it("clears away what was left half-made long ago, and not what may be in the making", async () => {
    const directory = await newDirectory();
    for (const name of [".new-old", ".new-young"]) {
      await mkdir(join(directory, name));
      await writeFile(join(directory, name, "ca.key"), "half");
    }
    const yesterday = new Date(Date.now() - 86_400_000);
    await utimes(join(directory, ".new-old"), yesterday, yesterday);
    await openAuthority({ directory });
    expect((await readdir(directory)).sort()).toEqual([".new-young", "authority", "servers"]);
  });

  it.each(authorityFiles)("without its %s is refused, and never made anew", async (file) => {
    const directory = await newDirectory();
    const { caPem } = await openAuthority({ directory });
    await rm(join(directory, "authority", file));
    await expect(openAuthority({ directory })).rejects.toMatchObject({ code: "conflict" });
    await expect(openAuthority({ directory })).rejects.toThrow(
      `${file} cannot be read (ENOENT); restore it from a backup`,
    );
    expect(await readdir(join(directory, "authority"))).toHaveLength(2);
    if (file !== "ca.crt") expect(await readFile(join(directory, "authority/ca.crt"), "utf8")).toBe(caPem);
  });

  it.each(authorityFiles)("with nonsense for its %s is refused", async (file) => {
    const directory = await newDirectory();
    await openAuthority({ directory });
    await writeFile(join(directory, "authority", file), "nonsense");
    await expect(openAuthority({ directory })).rejects.toMatchObject({ code: "conflict" });
  });

  it("with another authority's key is refused", async () => {
    const [one, other] = [await newDirectory(), await newDirectory()];
    await openAuthority({ directory: one });
    await openAuthority({ directory: other });
    await cp(join(other, "authority/ca.key"), join(one, "authority/ca.key"));
    await expect(openAuthority({ directory: one })).rejects.toThrow("do not belong together");
  });

  it("that has expired is refused", async () => {
    const directory = await newDirectory();
    await openAuthority({ directory });
    const now = () => new Date(Date.now() + 21 * yearMs);
    await expect(openAuthority({ directory, now })).rejects.toThrow(/it expired at 20\d\d-/);
  });
});

describe("a profile's server certificate", () => {
  it("is one that openssl takes for a TLS server, of the name that client configs insist on, and for nothing else", async () => {
    const authority = await openAuthority({ directory: await newDirectory() });
    const files = await authority.serverFiles("office");
    const verify = (purpose: string) =>
      openssl("verify", "-x509_strict", "-CAfile", files.ca, "-purpose", purpose, files.certificate);
    expect(await verify("sslserver")).toMatchObject({ status: 0 });
    expect((await verify("sslclient")).output).toContain("unsuitable certificate purpose");
    const { output } = await openssl(
      "x509",
      "-in",
      files.certificate,
      "-noout",
      "-subject",
      "-ext",
      "keyUsage,extendedKeyUsage,basicConstraints",
    );
    expect(output).toContain("subject=CN = sallyport-server-office");
    expect(output).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(output).toMatch(/Extended Key Usage: \s+TLS Web Server Authentication\n/);
    expect(output).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect((await openssl("pkey", "-in", files.key, "-pubout")).output).toBe(
      (await openssl("x509", "-in", files.certificate, "-pubkey", "-noout")).output,
    );
  });

  it("is each profile's own", async () => {
    const authority = await openAuthority({ directory: await newDirectory() });
    const [office, guests] = [await authority.serverFiles("office"), await authority.serverFiles("guests")];
    expect(office.certificate).not.toBe(guests.certificate);
    expect([office.ca, office.tlsCryptV2Key]).toEqual([guests.ca, guests.tlsCryptV2Key]);
  });

  it("is replaced in its last year, while the old one stays for a server that still uses it", async () => {
    const directory = await newDirectory();
    const old = await (await openAuthority({ directory })).serverFiles("office");
    const later = (years: number) => openAuthority({ directory, now: () => new Date(Date.now() + years * yearMs) });
    expect(await (await later(8.9)).serverFiles("office")).toEqual(old);
    const renewed = await (await later(9.1)).serverFiles("office");
    expect(renewed.certificate).not.toBe(old.certificate);
    expect(await readFile(old.certificate, "utf8")).toContain("BEGIN CERTIFICATE");
    expect(await (await later(9.1)).serverFiles("office")).toEqual(renewed);
  });

  it("that was made while the clock was ahead is replaced when the clock is right: nobody could connect", async () => {
    const directory = await newDirectory();
    await openAuthority({ directory });
    const ahead = await openAuthority({ directory, now: () => new Date(Date.now() + 5 * yearMs) });
    const early = await ahead.serverFiles("office");
    const authority = await openAuthority({ directory });
    const files = await authority.serverFiles("office");
    expect(files.certificate).not.toBe(early.certificate);
    expect(await authority.serverFiles("office")).toEqual(files);
  });

  it("is made once in the authority's last year, which it cannot outlive", async () => {
    const directory = await newDirectory();
    await openAuthority({ directory });
    const late = await openAuthority({ directory, now: () => new Date(Date.now() + 19.5 * yearMs) });
    expect(await late.serverFiles("office")).toEqual(await late.serverFiles("office"));
  });

  it("of another authority or another profile is not used", async () => {
    const [one, other] = [await newDirectory(), await newDirectory()];
    const authority = await openAuthority({ directory: one });
    await (await openAuthority({ directory: other })).serverFiles("office");
    await authority.serverFiles("guests");
    for (const from of [join(other, "servers/office"), join(one, "servers/guests")])
      await cp(from, join(one, "servers/office"), { recursive: true });
    const { certificate } = await authority.serverFiles("office");
    const { output } = await openssl("x509", "-in", certificate, "-noout", "-subject");
    expect(output).toContain("sallyport-server-office");
    expect((await openssl("verify", "-CAfile", join(one, "authority/ca.crt"), certificate)).status).toBe(0);
  });

  it.each(["../office", "", "a/b", "a\0b", ".", "..", "a".repeat(33), "ä"])("is not made for %j", async (profileId) => {
    const directory = await newDirectory();
    const authority = await openAuthority({ directory });
    await expect(authority.serverFiles(profileId)).rejects.toMatchObject({ code: "invalid-input" });
    expect(await readdir(join(directory, "servers"))).toEqual([]);
  });
});
