import type { Allow } from "../core/decision.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { AccessRequest } from "../core/vpn-event.ts";
import type { AccountStore, ClientConfigStore, SessionStore } from "../store/store.ts";

/** Null where everything is still as it was. */
export type ChangedMeanwhile = (
  request: Pick<AccessRequest, "certificate" | "device">,
  decision: Pick<Allow, "userId" | "resumes">,
) => Promise<{ code: ErrorCode; reason: string } | null>;

/**
 * Scripts may take long, and whoever disables an account or revokes a device meanwhile finds no connection to end. So
 * this is asked once more when there is one to be found.
 */
export function changedMeanwhile(options: {
  accounts: Pick<AccountStore, "user">;
  clientConfigs: Pick<ClientConfigStore, "bySerial" | "get">;
  sessions: Pick<SessionStore, "get">;
}): ChangedMeanwhile {
  return async ({ certificate, device }, { userId, resumes }) => {
    const user = await options.accounts.user(userId);
    if (user?.disabled) return { code: "account-disabled", reason: `the account ${userId} was disabled meanwhile` };
    const config = certificate && (await options.clientConfigs.bySerial(certificate.serial));
    if (config?.connectionId === certificate?.commonName && config?.revokedAt) {
      return { code: "certificate-revoked", reason: `client config ${config.id} was revoked meanwhile` };
    }
    const asking = device && (await options.clientConfigs.get(device.clientConfigId));
    if (device && (asking === undefined || asking.revokedAt !== null)) {
      return { code: "certificate-revoked", reason: `client config ${device.clientConfigId} was revoked meanwhile` };
    }
    if (resumes !== undefined && (await options.sessions.get(resumes)) === undefined) {
      return { code: "session-expired", reason: "the session was ended meanwhile" };
    }
    return null;
  };
}
