/** Guarantees: the WireGuard device's client config is one of ours, with this key, for this profile, and still works. */
import type { ClientConfigStore } from "../../store/store.ts";
import { denied, passed, type Step } from "../step.ts";

export function checkDevice(options: { clientConfigs: Pick<ClientConfigStore, "get"> }): Step {
  return {
    name: "check device",
    async run({ request, at }) {
      const { device } = request;
      if (device === undefined) return { outcome: "skipped", detail: "no WireGuard device asks" };
      const config = await options.clientConfigs.get(device.clientConfigId);
      if (config === undefined || config.connectionId !== device.publicKey) {
        return denied("certificate-unknown", `no client config has the key ${device.publicKey}`);
      }
      const found = { userId: config.userId };
      if (config.revokedAt !== null) {
        return denied("certificate-revoked", `client config ${config.id} was revoked at ${config.revokedAt}`, found);
      }
      if (Date.parse(config.expiresAt) <= at.getTime()) {
        return denied("certificate-expired", `client config ${config.id} expired at ${config.expiresAt}`, found);
      }
      if (config.profileId !== request.profileId) {
        const reason = `client config ${config.id} is for profile ${config.profileId}, not ${request.profileId}`;
        return denied("certificate-other-profile", reason, found);
      }
      return passed(`client config ${config.id}, ${device.trigger} trigger`, {
        ...found,
        configOwner: config.userId,
        configKind: config.kind,
        configExpiresAt: config.expiresAt,
      });
    },
  };
}
