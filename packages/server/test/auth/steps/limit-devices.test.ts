import { expect, it } from "vitest";
import type { Findings } from "../../../src/auth/step.ts";
import { checkDevice } from "../../../src/auth/steps/check-device.ts";
import { limitDevices } from "../../../src/auth/steps/limit-devices.ts";
import type { ClientConfig } from "../../../src/store/store.ts";

const at = new Date("2026-06-01T00:00:00.000Z");
const device = (id: string, given: Partial<ClientConfig> = {}): ClientConfig => ({
  id,
  userId: "alice",
  profileId: "mobile",
  kind: "auto-login",
  protocol: "wireguard",
  connectionId: `key of ${id}`,
  serial: null,
  createdAt: "2026-06-01T00:00:00.000Z",
  expiresAt: "2027-01-01T00:00:00.000Z",
  revokedAt: null,
  ...given,
});

const findings = (id: string, properties: Record<string, string> = {}) =>
  ({
    request: {
      profileId: "mobile",
      protocol: "wireguard",
      device: { clientConfigId: id, publicKey: `key of ${id}`, trigger: "config" },
    },
    configOwner: "alice",
    properties,
    at,
  }) as unknown as Findings;

it.each([
  [{}, "passed", undefined],
  [{ revokedAt: "2026-05-01T00:00:00.000Z" }, "denied", "certificate-revoked"],
  [{ expiresAt: "2026-06-01T00:00:00.000Z" }, "denied", "certificate-expired"],
  [{ profileId: "office" }, "denied", "certificate-other-profile"],
  [{ connectionId: "another key" }, "denied", "certificate-unknown"],
])("a device whose client config is %j: %s %s", async (given, outcome, code) => {
  const step = checkDevice({ clientConfigs: { get: async () => device("a", given) } });
  expect(await step.run(findings("a"))).toMatchObject({ outcome, ...(code && { code }) });
});

it("a device whose client config is gone is unknown; whoever is no device is not looked at", async () => {
  const step = checkDevice({ clientConfigs: { get: async () => undefined } });
  expect(await step.run(findings("a"))).toMatchObject({ code: "certificate-unknown" });
  expect(await step.run({ request: {}, at } as unknown as Findings)).toMatchObject({ outcome: "skipped" });
});

const limited = (working: ClientConfig[], most: number | null) =>
  limitDevices({ devices: { working: async () => working }, most: () => most });

it("of devices asked for at once the first ones get in, as many as may", async () => {
  const issued = device("had", { issuedAt: "2026-05-01T00:00:00.000Z" });
  const old = device("old", { issuedAt: "2026-05-01T00:00:00.000Z", expiresAt: at.toISOString() });
  const step = limited([old, issued, device("a"), device("b")], 2);
  expect(await step.run(findings("a"))).toMatchObject({ outcome: "passed" });
  expect(await step.run(findings("b"))).toMatchObject({ outcome: "denied", code: "too-many-devices" });
  // A limit that was lowered takes nothing away.
  expect(await limited([issued], 0).run(findings("had"))).toMatchObject({ outcome: "passed" });
  expect(await limited([device("a")], null).run(findings("a"))).toMatchObject({ outcome: "passed" });
});

it("the property wireguard_max_devices stands above the profile's limit", async () => {
  const working = [device("a"), device("b")];
  const step = limited(working, 1);
  expect(await step.run(findings("b", { wireguard_max_devices: "2" }))).toMatchObject({ outcome: "passed" });
  expect(await step.run(findings("a", { wireguard_max_devices: "0" }))).toMatchObject({ code: "too-many-devices" });
  expect(await step.run(findings("b", { wireguard_max_devices: "many" }))).toMatchObject({ code: "too-many-devices" });
});

it.each([
  [{}, "2027-01-01T00:00:00.000Z"],
  [{ prop_expire: "3600" }, "2026-06-01T01:00:00.000Z"],
  [{ prop_expire: "3600", wireguard_expire: "7200" }, "2026-06-01T02:00:00.000Z"],
  [{ prop_expire: "3600", wireguard_expire: "0" }, "2027-01-01T00:00:00.000Z"],
  [{ wireguard_expire: "1e99" }, "2027-01-01T00:00:00.000Z"],
])("with %j a device is good until %s", async (properties, configExpiresAt) => {
  const outcome = await limited([device("a")], null).run(findings("a", properties));
  expect(outcome).toMatchObject({ outcome: "passed", found: { configExpiresAt } });
});

it("one whose own time is over is not let in again", async () => {
  const old = device("a", { createdAt: "2026-05-01T00:00:00.000Z", issuedAt: "2026-05-01T00:00:00.000Z" });
  expect(await limited([old], null).run(findings("a", { wireguard_expire: "60" }))).toMatchObject({
    code: "certificate-expired",
  });
});
