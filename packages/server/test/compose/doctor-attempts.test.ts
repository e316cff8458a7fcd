import { expect, test } from "vitest";
import { examineAttempts } from "../../src/compose/doctor/attempts.ts";
import type { AttemptRecord } from "../../src/core/attempt.ts";
import { anAttempt } from "../store/suite/rows.ts";

const now = Date.parse("2026-03-02T03:00:00.000Z");
const asked: object[] = [];
const found = (...recent: AttemptRecord[]) => {
  const list = async (filter: object) => {
    asked.push(filter);
    return recent;
  };
  return examineAttempts({ list }, now);
};
const at = "2026-03-02T02:30:00.000Z";
const refused = (code: AttemptRecord["code"], reason: string) => anAttempt({ outcome: "deny", code, reason, at });

test("what broke for several in the last hour is one finding, with the newest reason and what to do", async () => {
  const [newest, older] = [refused("method-unreachable", "ldap: nobody listens"), refused("method-unreachable", "?")];
  const findings = await found(newest, refused("script-failed", "KeyError: 'x'"), older);
  expect(findings).toMatchObject([
    {
      id: "outage.method-unreachable",
      state: "warning",
      what: expect.stringMatching(/refused 2 times in the last hour, .*: ldap: nobody listens \(method-unreachable\)$/),
      next: expect.stringMatching(new RegExp(`docs/auth-methods\\.md\\. See: sallyport explain ${newest.id}$`)),
    },
    { id: "outage.script-failed", what: expect.stringContaining("refused once in the last hour") },
  ]);
  expect(asked.at(-1)).toMatchObject({ since: "2026-03-02T02:00:00.000Z" });
});

test("who was let in, mistyped a password or may not come in is none", async () => {
  const rest = [
    anAttempt({ outcome: "allow", at }),
    refused("wrong-credentials", "no"),
    refused("access-denied", "no"),
  ];
  expect(await found(...rest)).toEqual([]);
});

test("an attempt that is still to come says that the clock was set back, and nothing of what was then", async () => {
  const ahead = { ...refused("method-unreachable", "ldap"), at: "2026-04-02T03:00:00.000Z" };
  const [finding, ...more] = await found(ahead, refused("script-failed", "x"));
  expect(finding).toMatchObject({ state: "fault", what: expect.stringContaining("2026-04-02T03:00") });
  expect(more).toEqual([]);
});
