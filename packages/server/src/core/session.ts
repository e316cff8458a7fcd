/** Somebody signed in to a VPN session, who need not sign in again while it lasts. */
export type VpnSession = {
  /** A digest of the daemon's own name for the session: what is stored here admits nobody. */
  id: string;
  userId: string;
  /** The name the user typed: a directory may call them by another. */
  signedInAs: string;
  profileId: string;
  /** The device: a session is good on it alone. */
  connectionId: string;
  createdAt: string;
  /** Null: it does not expire. */
  expiresAt: string | null;
  /** `authret.state`, by script. */
  states: Record<string, string>;
};
