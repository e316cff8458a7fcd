/**
 * Guarantees: the device's certificate is one of ours, not revoked or expired, for this profile and this user. Where a
 * profile takes `any` certificate, its server has checked it, or asks for none; one of ours is still held to all that.
 */
import type { ClientConfigStore } from "../../store/store.ts";
import { denied, passed, type Step } from "../step.ts";

export function checkCertificate(options: {
  clientConfigs: Pick<ClientConfigStore, "bySerial">;
  /** Whether a profile's server lets in certificates that were not issued here. */
  certificates?: (profileId: string | null) => "any" | "ours";
}): Step {
  return {
    name: "check certificate",
    async run({ request, credentials, at }) {
      if (request.kind === "authcli") return { outcome: "skipped", detail: "no device: asked on the command line" };
      const { certificate } = request;
      if (request.device) return { outcome: "skipped", detail: "WireGuard devices have keys" };
      const any = options.certificates?.(request.profileId) === "any";
      if (certificate === undefined && any) return passed("this profile's server asks for no certificate");
      if (certificate === undefined) return denied("certificate-missing", "the daemon reported no client certificate");
      const config = await options.clientConfigs.bySerial(certificate.serial);
      const which = `serial ${certificate.serial}, ${certificate.commonName}`;
      // Another authority may have given out the same number.
      if (any && config?.connectionId !== certificate.commonName) {
        return passed(`accepted by the server, which is not ours (${which})`);
      }
      if (config === undefined)
        return denied("certificate-unknown", `no client config has this certificate (${which})`);
      const found = { userId: config.userId ?? credentials.username ?? null };
      if (config.revokedAt !== null) {
        return denied("certificate-revoked", `client config ${config.id} was revoked at ${config.revokedAt}`, found);
      }
      if (Date.parse(config.expiresAt) <= at.getTime()) {
        return denied("certificate-expired", `client config ${config.id} expired at ${config.expiresAt}`, found);
      }
      if (config.profileId !== request.profileId) {
        return denied(
          "certificate-other-profile",
          `client config ${config.id} is for profile ${config.profileId}, not ${request.profileId}`,
          found,
        );
      }
      if (config.userId !== null && credentials.username !== undefined && credentials.username !== config.userId) {
        return denied(
          "certificate-other-user",
          `client config ${config.id} belongs to ${config.userId}, the name given is ${credentials.username}`,
          { userId: credentials.username },
        );
      }
      return passed(`client config ${config.id}, ${config.kind}`, {
        ...found,
        configOwner: config.userId,
        configKind: config.kind,
        configExpiresAt: config.expiresAt,
      });
    },
  };
}
