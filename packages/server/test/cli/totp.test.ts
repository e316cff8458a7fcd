import { createGuardrails, generate } from "otplib";
import qrcode from "qrcode";
import { afterAll, beforeAll, expect, test } from "vitest";
import { enrolmentOf, matchTotp } from "../../src/auth/totp.ts";
import { startTestDaemon, type TestDaemon } from "./test-daemon.ts";

let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await startTestDaemon();
});

afterAll(async () => await daemon.close());

const own = async (name: string) => await daemon.store.accounts.properties({ kind: "user", name });

/** The QR code that a terminal shows, a line of characters for two of its own, without the white around it. */
function darkModules(text: string): string[] {
  const dark: Record<string, string> = { " ": "00", "▀": "10", "▄": "01", "█": "11" };
  const rows = text
    .split("\n")
    .filter((line) => /^[ ▀▄█]*[▀▄█][ ▀▄█]*$/.test(line))
    .flatMap((line) => {
      const pairs = [...line].map((character) => dark[character] ?? "");
      return [0, 1].map((half) => pairs.map((pair) => pair[half]).join(""));
    })
    .filter((row) => row.includes("1"));
  const columns = rows.flatMap((row) => [row.indexOf("1"), row.lastIndexOf("1")]);
  return rows.map((row) => row.slice(Math.min(...columns), Math.max(...columns) + 1));
}

function modulesOf(uri: string): string[] {
  const { modules } = qrcode.create(uri, { errorCorrectionLevel: "L" });
  const row = (y: number) => [...modules.data.subarray(y * modules.size, (y + 1) * modules.size)].map(Number).join("");
  return Array.from({ length: modules.size }, (_, y) => row(y));
}

test("an authenticator is enrolled with a secret whose codes are right", async () => {
  const enrolment = (await daemon.json(["totp", "enrol", "alice"])) as Record<string, string>;
  expect(enrolment).toEqual({
    id: "alice",
    secret: expect.stringMatching(/^[A-Z2-7]{32}$/),
    uri: expect.stringMatching(/^otpauth:\/\/totp\/vpn\.example\.org:alice\?/),
    asked: false,
  });
  const scanned = new URL(enrolment.uri ?? "").searchParams.get("secret") ?? "";
  const enrolled = enrolmentOf(await own("alice"));
  if ("missing" in enrolled) throw new Error(enrolled.missing);
  const code = await generate({ secret: scanned, guardrails: createGuardrails() });
  expect(await matchTotp({ secret: enrolled.secret, code, at: new Date() })).toMatchObject({ matches: true });
});

test("the terminal shows a QR code, and what is still missing", async () => {
  const { status, stdout, stderr } = await daemon.run(["totp", "enrol", "bob"]);
  expect(status).toBe(0);
  const [uri = ""] = /otpauth:\/\/\S+/.exec(stdout) ?? [];
  expect(darkModules(stdout)).toEqual(modulesOf(uri));
  expect(stderr).toContain("property set --user bob prop_google_auth true");
});

test("nobody is told of a missing property where a code is asked for", async () => {
  await daemon.json(["property", "set", "--user", "dora", "prop_google_auth", "true"]);
  const { stdout, stderr } = await daemon.run(["totp", "enrol", "dora"]);
  expect(stdout).toContain("otpauth://");
  expect(stderr).toBe("");
  await daemon.json(["config", "set", "vpn.server.google_auth.enable", "true"]);
  expect(await daemon.json(["totp", "enrol", "emil"])).toMatchObject({ asked: true });
});

test("a second enrolment is refused, and leaves the first", async () => {
  await daemon.json(["totp", "enrol", "carol"]);
  const before = await own("carol");
  expect((await daemon.run(["totp", "enrol", "carol"])).stderr).toContain("already-exists");
  expect(await own("carol")).toEqual(before);
});

test("a reset forgets it whole, and another can be enrolled", async () => {
  const before = (await daemon.json(["totp", "enrol", "frank"])) as { secret: string };
  await daemon.store.accounts.setProperties(
    { kind: "user", name: "frank" },
    { pvt_totp_last_step: "1", conn_group: "x" },
  );
  expect(await daemon.json(["totp", "reset", "frank"])).toEqual({ id: "frank" });
  expect(await own("frank")).toEqual({ conn_group: "x" });
  expect((await daemon.run(["totp", "reset", "frank"])).stderr).toContain("not-found");
  expect(await daemon.json(["totp", "enrol", "frank"])).not.toMatchObject({ secret: before.secret });
});

test("the secret is shown nowhere afterwards", async () => {
  const { secret } = (await daemon.json(["totp", "enrol", "grace"])) as { secret: string };
  for (const words of [
    ["property", "get", "--user", "grace"],
    ["property", "get", "pvt_google_auth_secret", "--user", "grace"],
  ]) {
    const { status, stdout } = await daemon.run([...words, "--json"]);
    expect([status, stdout.includes(secret)]).toEqual([0, false]);
  }
});
