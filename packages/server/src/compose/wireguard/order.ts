import { SallyportError } from "../../core/errors.ts";

/** Each WireGuard device is somebody's, and nobody signs in on it: of the kinds of OpenVPN files it is an auto-login one. */
export function wireGuardOrder(order: {
  userId: string | null;
  profileId: string;
  kind: string | undefined;
  publicKey: string | undefined;
}): { userId: string; profileId: string; publicKey?: string; clientAddress: string } {
  const { userId, profileId, kind, publicKey } = order;
  if (userId === null) throw new SallyportError("invalid-input", "a WireGuard device belongs to a user: give --user");
  if (kind === "user-locked" || kind === "server-locked") {
    throw new SallyportError("invalid-input", "WireGuard devices sign in by themselves: leave --kind out");
  }
  return { userId, profileId, clientAddress: "127.0.0.1", ...(publicKey !== undefined && { publicKey }) };
}
