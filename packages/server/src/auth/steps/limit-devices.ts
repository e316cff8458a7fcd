/**
 * Guarantees: nobody has more WireGuard devices, or any for longer, than they may. Properties of the user, the group or a
 * script's answer say so: `wireguard_max_devices`, which stands above the profile's limit, and `wireguard_expire` or else
 * `prop_expire`, in seconds from when the device was issued. Devices issued before a limit was lowered stay.
 */
import type { Properties } from "../../core/properties.ts";
import type { DeviceStore } from "../../store/store.ts";
import { denied, passed, type Step } from "../step.ts";

export function limitDevices(options: {
  devices: Pick<DeviceStore, "working">;
  /** The profile's; null: no limit. */
  most: (profileId: string) => number | null;
}): Step {
  return {
    name: "limit devices",
    async run({ request, configOwner, properties, at }) {
      const { device, profileId } = request;
      if (device === undefined || profileId === null || configOwner === null) {
        return { outcome: "skipped", detail: "no WireGuard device asks" };
      }
      const working = await options.devices.working({ profileId, userId: configOwner });
      const alive = working.filter(({ expiresAt }) => Date.parse(expiresAt) > at.getTime());
      // They stand in the order of their making: of several that are asked for at once the first ones get in.
      const place = alive.findIndex(({ id }) => id === device.clientConfigId);
      const config = alive[place];
      if (config === undefined) return denied("certificate-revoked", "the client config was revoked meanwhile");
      const until = expiryOf(config, properties);
      if (Date.parse(until) <= at.getTime()) return denied("certificate-expired", `the device was good until ${until}`);
      const found = { configExpiresAt: until };
      const most = ownLimit(properties) ?? options.most(profileId);
      if (config.issuedAt !== undefined) return passed(`device ${place + 1}, good until ${until}`, found);
      if (most === null || place < most) {
        return passed(`device ${place + 1} of ${most === null ? "any number" : most}, good until ${until}`, found);
      }
      return denied("too-many-devices", `${configOwner} has ${place} devices in ${profileId}, and may have ${most}`);
    },
  };
}

/** Anything but a whole number sets no limit of its own. */
function ownLimit(properties: Properties): number | undefined {
  const text = properties.wireguard_max_devices ?? "";
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function expiryOf(config: { createdAt: string; expiresAt: string }, properties: Properties): string {
  const seconds = Number(properties.wireguard_expire ?? properties.prop_expire ?? 0);
  if (!(seconds > 0)) return config.expiresAt;
  const ownEnd = Date.parse(config.createdAt) + seconds * 1000;
  return new Date(Math.min(ownEnd, Date.parse(config.expiresAt))).toISOString();
}
