import type { Trigger } from "./connection.ts";
import type { ClientCertificate } from "./credentials.ts";
import type { Secret } from "./secret.ts";

/**
 * Which tunnel of which daemon. `key` is the driver's own name for it, opaque to everybody else and never
 * used again for another tunnel while the driver lives (OpenVPN's client ids start again at 0 after SIGUSR1).
 */
export type Tunnel = { profileId: string; listener: string; key: string };

/** A VPN daemon asks whether somebody may come in (connect) or stay (reauth). It goes on serving meanwhile. */
export type AccessRequest = {
  kind: "connect" | "reauth";
  tunnel: Tunnel;
  protocol: "openvpn" | "wireguard";
  username: string | undefined;
  password: Secret | undefined;
  certificate: ClientCertificate | undefined;
  /** Canonical address the client comes from. */
  clientAddress: string;
  clientPort: number | undefined;
  hardwareAddress: string | undefined;
  /** Every `IV_*` and `UV_*` the client sent. */
  clientInfo: Readonly<Record<string, string>>;
  /** `X509_<depth>_<attr>` and `tls_serial_<depth>`, for scripts (`auth_parms`). */
  /**
   * The daemon's session, where it gives out tokens: `initial` when it begins; `authenticated` when a token that it
   * found genuine and in time was sent in place of the password.
   */
  session?: { id: string; state: "initial" | "authenticated" | "expired" | "invalid" };
  certificateFields: Readonly<Record<string, string>>;
  /** WireGuard: the device that is to be let in, and why it is asked about now. */
  device?: RequestingDevice;
};

/** A WireGuard device by its client config. `publicKey` is base64. */
export type RequestingDevice = { clientConfigId: string; publicKey: string; trigger: Trigger };

/** A tunnel as the daemon lists it: what is really there, against which the ledger is held after an attach. */
export type LiveTunnel = {
  tunnel: Tunnel;
  /** The certificate's; undefined where the daemon does not tell it: then the address alone says whose tunnel it is. */
  commonName: string | undefined;
  ipv4: string | undefined;
  ipv6: string | undefined;
  bytesIn: number;
  bytesOut: number;
};

/** Bytes from (`in`) and to (`out`) the client since the tunnel began. */
export type Traffic = { tunnel: Tunnel; bytesIn: number; bytesOut: number };
