import { expect, test } from "vitest";
import { isSessionLifetime, sessionLifetime } from "../../src/auth/session-lifetime.ts";

const lifetime = (value: string | undefined) => sessionLifetime({ get: async () => value })();

test("sessions last for a day unless the setting says otherwise", async () => {
  expect(await lifetime(undefined)).toBe(86_400);
  expect(await lifetime("3600")).toBe(3_600);
  expect(await lifetime("0")).toBe(0);
});

test("a setting that is no number of seconds does not make sessions endless", async () => {
  for (const value of ["", "-1", "1h", "1.5", " 5", "NaN", "9".repeat(20)]) {
    expect(isSessionLifetime(value)).toBe(false);
    expect(await lifetime(value)).toBe(86_400);
  }
});
