import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { pamMethod } from "../../../src/auth/methods/pam.ts";
import { readPamSettings } from "../../../src/auth/methods/pam-options.ts";
import type { Settings } from "../../../src/auth/methods/settings.ts";
import { Secret } from "../../../src/core/secret.ts";
import { until } from "../../waiting.ts";

const execute = promisify(execFile);
const unique = `${process.pid}${Date.now().toString(36).slice(-4)}`;
const user = `spt${unique}`;
const expired = `spx${unique}`;
const password = "open sésame";
const login = (username: string, text: string) => ({
  username,
  password: new Secret(text),
  clientAddress: "192.0.2.7",
});
const wrong = (words: string) => ({ outcome: "wrong", reason: expect.stringContaining(words) });
const unreachable = (words: string) => ({ outcome: "unreachable", reason: expect.stringContaining(words) });

let directory: string;
const services: string[] = [];
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "pam-"));
  for (const [name, more] of [
    [user, []],
    [expired, ["--expiredate", "2020-01-01"]],
  ] as const) {
    await execute("/usr/sbin/useradd", ["--no-create-home", "--no-user-group", "--shell", "/bin/false", ...more, name]);
    const setting = execute("/usr/sbin/chpasswd");
    setting.child.stdin?.end(`${name}:${password}\n`);
    await setting;
  }
});
afterAll(async () => {
  for (const name of [user, expired]) await execute("/usr/sbin/userdel", [name]).catch(() => undefined);
  await rm(directory, { recursive: true, force: true });
});
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
  for (const name of services.splice(0)) await rm(`/etc/pam.d/${name}`, { force: true });
});

/** A service of our own in /etc/pam.d. */
async function service(...lines: string[]): Promise<string> {
  const name = `sallyport-test-${unique}-${services.length}`;
  services.push(name);
  await writeFile(`/etc/pam.d/${name}`, `${lines.join("\n")}\n`);
  return name;
}

async function script(name: string, text: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, `#!/bin/sh\n${text}\n`);
  await chmod(file, 0o755);
  return file;
}

async function methodOf(lines: string[], more: Settings = {}) {
  const settings: Settings = { service: await service(...lines), timeout: "20", ...more };
  const read = readPamSettings(
    Object.fromEntries(Object.entries(settings).map(([key, value]) => [`auth.pam.0.${key}`, value])),
  );
  if (read.options === undefined) throw new Error(JSON.stringify(read.faults));
  const method = pamMethod(read.options);
  cleanUp.push(() => method.close?.());
  return method;
}

const unix = ["auth required pam_unix.so", "account required pam_unix.so"];
const anybody = "account required pam_permit.so";

/** Ids of the running processes whose command line holds the text. */
async function processesWith(text: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).map(Number).filter(Number.isInteger)) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (pid !== process.pid && command.includes(text)) found.push(pid);
  }
  return found;
}

test("a system account is let in with its password, and not with another", async () => {
  const method = await methodOf(unix);
  expect(await method.check(login(user, password))).toEqual({
    outcome: "accepted",
    userId: user,
    reason: "pam auth succeeded",
    info: {},
  });
  expect(await method.check(login(user, "open sesame"))).toEqual(wrong("wrong user name or password"));
  expect(await method.check(login(`no${user}`, password))).toEqual(wrong("pam auth failed"));
});

test("an empty password is never accepted, whatever the modules say", async () => {
  const method = await methodOf(["auth required pam_permit.so", anybody]);
  expect(await method.check(login(user, ""))).toEqual(wrong("empty password"));
  expect(await method.check(login(user, "x"))).toMatchObject({ outcome: "accepted" });
});

test("the account must be accepted too: expired and forbidden ones are not", async () => {
  const method = await methodOf(unix);
  expect(await method.check(login(expired, password))).toEqual(wrong("the account has expired"));
  expect(await method.check(login(expired, "x"))).toEqual(wrong("wrong user name or password"));
  const denying = await methodOf(["auth required pam_unix.so", "account required pam_deny.so"]);
  expect(await denying.check(login(user, password))).toEqual(wrong("permission denied"));
});

test("the name that counts is the one the modules leave", async () => {
  const method = await methodOf(["auth required pam_ftp.so", anybody]);
  expect(await method.check(login("anonymous", "me@example.org"))).toMatchObject({
    outcome: "accepted",
    userId: "ftp",
  });
});

test("modules get the password and where the client comes from, and none of the daemon's environment", async () => {
  const file = await script(
    "check.sh",
    `IFS= read -r word; env >"${directory}/environment"
     [ "$word" = "pass word" ] && [ "$PAM_RHOST" = 192.0.2.7 ] && [ "$PAM_USER" = dora ]`,
  );
  process.env.SALLYPORT_TEST_SECRET = "do not tell";
  cleanUp.push(() => void delete process.env.SALLYPORT_TEST_SECRET);
  const method = await methodOf([`auth required pam_exec.so expose_authtok quiet ${file}`, anybody]);
  expect(await method.check(login("dora", "pass word"))).toMatchObject({ outcome: "accepted" });
  expect(await method.check(login("dora", "password"))).toMatchObject({ outcome: "unreachable" });
  expect(await readFile(join(directory, "environment"), "utf8")).not.toContain("do not tell");
});

test("a further question cannot be put, and says so", async () => {
  const method = await methodOf(["auth required pam_unix.so", `auth required pam_ftp.so users=${user}`, anybody]);
  expect(await method.check(login(user, password))).toEqual(unreachable("a module asks"));
});

test("a service without a file is an outage, and never the service called other", async () => {
  const method = pamMethod({ service: `none-${unique}`, timeoutMs: 5000, workers: 1, maxWaiting: 1 });
  cleanUp.push(() => method.close?.());
  expect(await method.check(login(user, password))).toEqual(unreachable(`/etc/pam.d/none-${unique}`));
});

test("a service that names a module which is not there is an outage, not a wrong password", async () => {
  const method = await methodOf(["auth required pam_missing.so", anybody]);
  expect(await method.check(login(user, password))).toEqual(unreachable("PAM failed"));
});

describe("workers", () => {
  test("one that dies in a module is an outage, and the next login has another", async () => {
    const crash = await script("crash.sh", '[ "$PAM_USER" = crash ] && kill -SEGV $PPID; exit 0');
    const method = await methodOf([`auth required pam_exec.so quiet ${crash}`, anybody], { workers: "1" });
    expect(await method.check(login("crash", "x"))).toEqual(unreachable("died (SIGSEGV"));
    expect(await method.check(login("dora", "x"))).toMatchObject({ outcome: "accepted" });
  });

  test("one that hangs is killed at the deadline with what its modules started, and the next login has another", async () => {
    const hang = await script("hang.sh", `[ "$PAM_USER" = hang ] && exec sh -c 'sleep 3600; : ${unique}'; exit 0`);
    const method = await methodOf([`auth required pam_exec.so quiet ${hang}`, anybody], { timeout: "5", workers: "1" });
    expect(method.deadlineMs).toBe(5000);
    expect(await method.check(login("hang", "x"))).toEqual(unreachable("did not answer within 5000 ms"));
    await until("everything that hung is gone", async () => (await processesWith(`: ${unique}`)).length === 0);
    expect(await method.check(login("dora", "x"))).toMatchObject({ outcome: "accepted" });
  });

  test("those who wait for a worker wait no longer than their deadline, and one too many is refused at once", async () => {
    const hang = await script("hang2.sh", "exec sleep 3600");
    const method = await methodOf([`auth required pam_exec.so quiet ${hang}`, anybody], {
      timeout: "1",
      workers: "1",
      max_waiting: "2",
    });
    const waiting = [method.check(login("a", "x")), method.check(login("b", "x"))];
    expect(await method.check(login("c", "x"))).toEqual(unreachable("auth.pam.0.max_waiting"));
    for (const one of await Promise.all(waiting)) expect(one.outcome).toBe("unreachable");
  });

  test("they stay warm, are no more than the setting says, and each login gets its own answer", async () => {
    const file = await script(
      "name.sh",
      `echo $PPID >>"${directory}/workers"; IFS= read -r word; [ "$word" = "$PAM_USER" ]`,
    );
    const method = await methodOf([`auth required pam_exec.so expose_authtok quiet ${file}`, anybody], {
      workers: "2",
    });
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, i) => method.check(login(`u${i}`, i % 2 === 0 ? `u${i}` : "no"))),
    );
    expect(results.map((one) => (one.outcome === "accepted" ? one.userId : ""))).toEqual(
      Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? `u${i}` : "")),
    );
    const workers = (await readFile(join(directory, "workers"), "utf8")).trim().split("\n");
    expect(workers.length).toBe(40);
    expect(new Set(workers).size).toBe(2);
  });

  test("closing ends them, and what waits ends as an outage", async () => {
    const hang = await script("hang3.sh", `exec sh -c 'sleep 3600; : closing${unique}'`);
    const method = await methodOf([`auth required pam_exec.so quiet ${hang}`, anybody]);
    const waiting = method.check(login("a", "x"));
    await until("the module runs", async () => (await processesWith(`: closing${unique}`)).length > 0);
    await method.close?.();
    expect((await waiting).outcome).toBe("unreachable");
    await until("it is gone", async () => (await processesWith(`: closing${unique}`)).length === 0);
    expect(await method.check(login("a", "x"))).toEqual(unreachable("settings were changed"));
  });

  test("a daemon that is killed takes a worker along that hangs in a module", async () => {
    const file = await script(
      "follow.sh",
      `echo $PPID >"${directory}/worker"; while kill -0 $PPID; do sleep 0.05; done`,
    );
    const name = await service(`auth required pam_exec.so quiet ${file}`, anybody);
    const methods = resolve(import.meta.dirname, "../../../src/auth/methods");
    const program = `
      import { pamMethod } from "${methods}/pam.ts";
      import { Secret } from "${methods}/../../core/secret.ts";
      pamMethod({ service: "${name}", timeoutMs: 60_000, workers: 1, maxWaiting: 1 })
        .check({ username: "a", password: new Secret("x") });`;
    const daemon = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], { stdio: "ignore" });
    cleanUp.push(() => daemon.kill("SIGKILL"));
    const worker = await until("the worker hangs", async () =>
      readFile(join(directory, "worker"), "utf8").then(
        (text) => Number(text) || undefined,
        () => undefined,
      ),
    );
    daemon.kill("SIGKILL");
    await once(daemon, "exit");
    await until("the worker is gone", async () =>
      readFile(`/proc/${worker}/stat`, "utf8").then(
        (stat) => stat.includes(") Z "),
        () => true,
      ),
    );
  });
});
