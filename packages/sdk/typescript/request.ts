import type { JsonObject } from "./json.ts";

/** How the user was authenticated; `session` is a reconnect with a session token, `autologin` a certificate alone. */
export type AuthMethod = "local" | "pam" | "ldap" | "radius" | "saml" | "pas_only" | "session" | "autologin";

/** Named strings of a user, with those of its group and the default behind them (`conn_group`, `pvt_hw_addr`, …). */
export type Properties = { readonly [name: string]: string | undefined };

/** What the client says about itself: every `IV_*` and `UV_*` it sent. Nobody has checked any of it. */
export type ClientInfo = {
  readonly [name: string]: string | undefined;
  /** The platform: `win`, `mac`, `linux`, `android`, `ios`, … */
  readonly IV_PLAT?: string;
  /** The version of the platform. */
  readonly UV_PLAT_REL?: string;
  /** The version of OpenVPN in the client. */
  readonly IV_VER?: string;
  /** The program the user sees, and its version. */
  readonly IV_GUI_VER?: string;
  /** The version of an Access Server client. */
  readonly UV_ASCLI_VER?: string;
  /** The address of the network card, or whatever the client takes for it. */
  readonly IV_HWADDR?: string;
};

/** Somebody who was authenticated and asks to come in. */
export type PostAuthRequest = {
  /** The account's name as it stands: the auth method or a script before this one may have changed it. */
  readonly user: string;
  /** The name that was authenticated. */
  readonly signedInAs: string;
  /** Where the connection comes from: an IPv4 or IPv6 address. */
  readonly clientAddress: string;
  /** The device's hardware address, where the client sent one. Nobody has checked it. */
  readonly hardwareAddress: string | undefined;
  readonly clientInfo: ClientInfo;
  /** `X509_<depth>_<attribute>` and `tls_serial_<depth>`; which attributes, `certificateFields` of the options says. */
  readonly certificateFields: { readonly [name: string]: string | undefined };
  readonly method: AuthMethod;
  /** What the auth method, or the script before this one, said of its decision. */
  readonly reason: string;
  /** The user's properties as the scripts before this one left them; empty with `groupSelect`. */
  readonly properties: Properties;
  /** What the scripts before this one passed along (`allow({ data })`, or keys of their own on Python's `authret`). */
  readonly data: Readonly<JsonObject>;
  /** `vpn`: a tunnel; `web`: somebody signs in to a web page; `other`: for example `authcli`. */
  readonly source: "vpn" | "web" | "other";
  /** A tunnel that is up already is authenticated again; a denial ends it. */
  readonly reauth: boolean;
  /** Only with `retainPassword`, and where there was one. */
  readonly password: string | undefined;
  /** The answer to the static challenge, where the client sent one. */
  readonly staticResponse: string | undefined;
};
