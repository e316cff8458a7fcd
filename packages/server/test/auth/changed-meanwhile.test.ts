import { expect, it } from "vitest";
import { changedMeanwhile } from "../../src/auth/changed-meanwhile.ts";
import type { AccountStore } from "../../src/store/store.ts";

const asked = (stored: { disabled?: boolean; revokedAt?: string; connectionId?: string; session?: boolean }) =>
  changedMeanwhile({
    accounts: {
      user: async (id) => ({ id, disabled: stored.disabled ?? false }) as Awaited<ReturnType<AccountStore["user"]>>,
    },
    clientConfigs: {
      get: async () => undefined,
      bySerial: async (serial) => ({
        id: "device-1",
        userId: "alice",
        profileId: "office",
        kind: "user-locked",
        protocol: "openvpn",
        connectionId: stored.connectionId ?? "cn-1",
        serial,
        createdAt: "",
        expiresAt: "",
        revokedAt: stored.revokedAt ?? null,
      }),
    },
    sessions: { get: async () => (stored.session ? ({} as never) : undefined) },
  });

const request = { certificate: { commonName: "cn-1", serial: "a1" } };
const allowed = { userId: "alice" };

it.each([
  ["nothing changed", {}, null],
  ["the account was disabled", { disabled: true }, "account-disabled"],
  ["the device was revoked", { revokedAt: "2026-01-01T00:00:00.000Z" }, "certificate-revoked"],
  ["another authority's device of that number was revoked", { revokedAt: "2026", connectionId: "cn-2" }, null],
])("while scripts took long: %s", async (_what, stored, code) => {
  expect((await asked(stored)(request, allowed))?.code ?? null).toBe(code);
});

it("does not go on with a session that was ended while scripts took long", async () => {
  const resuming = { ...allowed, resumes: "session-1" };
  expect((await asked({})(request, resuming))?.code).toBe("session-expired");
  expect(await asked({ session: true })(request, resuming)).toBeNull();
});
