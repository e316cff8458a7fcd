import type { Secret } from "./secret.ts";

export const authMethods = ["local", "pam", "ldap", "radius", "saml", "pas_only", "autologin", "session"] as const;

/** The backend that checked the credentials; Access Server's names, which scripts compare against. */
export type AuthMethod = (typeof authMethods)[number];

/** A client certificate as the VPN daemon verified it. The chain is already trusted when this is read. */
export type ClientCertificate = {
  commonName: string;
  /** Lower-case hex without colons or leading zeros, as X.509 serials compare. */
  serial: string;
};

/** What was presented, decoded: the wire forms of OpenVPN's challenges are already taken apart. */
export type Credentials = {
  username: string | undefined;
  password: Secret | undefined;
  /** The answer given beside the password to a static challenge (`SCRV1`). */
  staticResponse: Secret | undefined;
  /** The answer to a dynamic challenge (`CRV1`) and the state it belongs to. */
  challenge: { stateId: string; response: Secret } | undefined;
};
