import type { Secret } from "../../core/secret.ts";
import { parseFilter } from "./ldap-names.ts";
import {
  createSettingsReader,
  readHost,
  type Settings,
  type SettingsReader,
  type SettingsReading,
} from "./settings.ts";

export type LdapServer = { name: string; host: string; port: number };

export type LdapTls = {
  /** Whether the certificate and the host name in it are checked. */
  verify: boolean;
  /** PEM certificates that are trusted, in a file or as text; undefined: those the system trusts. */
  ca: { file: string } | { pem: string } | undefined;
  minVersion: "TLSv1.2" | "TLSv1.3";
};

export type LdapOptions = {
  /** In the order they are asked. */
  servers: LdapServer[];
  /** `starttls-if-offered` goes on in the clear where a server offers none. */
  security: "plain" | "starttls" | "starttls-if-offered" | "ldaps";
  tls: LdapTls;
  /** Whom searches are made as; undefined: anonymously. */
  bind: { dn: string; password: Secret } | undefined;
  /** With `{username}` in it: people are bound directly under this DN, and read their own entry. */
  userDn: string | undefined;
  base: string;
  userAttribute: string;
  /** What an entry must match besides the name. */
  filter: string | undefined;
  /** DN of a group whose members alone are let in. */
  requiredGroup: string | undefined;
  /** Count members of groups within the group too, by Active Directory's matching rule. */
  nestedGroups: boolean;
  /** Whether the name must be written as the directory writes it. */
  caseSensitive: boolean;
  /** For everything that one login asks of one server. */
  timeoutMs: number;
  maxWaiting: number;
  /** Connections to one server that check passwords. */
  maxConnections: number;
};

/** The placeholder of `auth.ldap.0.user_dn`. */
export const usernamePlaceholder = "{username}";

const securities = {
  never: "plain",
  adaptive: "starttls-if-offered",
  always: "ldaps",
  starttls: "starttls",
} as const;

/** OpenLDAP's words, which Access Server took over: `allow` goes on whatever the certificate is. */
const verifications = {
  internal: "yes",
  demand: "yes",
  hard: "yes",
  try: "yes",
  host: "yes",
  always: "yes",
  true: "yes",
  allow: "no",
  never: "no",
  false: "no",
} as const;

/** Versions below TLS 1.2 may be named, and are raised to it. */
const minVersions = {
  default: "TLSv1.2",
  tls1: "TLSv1.2",
  tls1_0: "TLSv1.2",
  tls1_1: "TLSv1.2",
  tls1_2: "TLSv1.2",
  tls1_3: "TLSv1.3",
} as const;

/** Reads `auth.ldap.0.*`. Names and defaults are Access Server's; docs/auth-methods.md lists them and ours. */
export function readLdapSettings(settings: Settings): SettingsReading<LdapOptions> {
  const reader = createSettingsReader(settings, "auth.ldap.0.");
  reader.ignore("name", "enable", "user_exists_check", "debug_level", "openldap_trace_level");
  const numbers = reader.numbers("server");
  const security = reader.choice("use_ssl", securities, "plain");
  const servers = numbers.map((number) => readServer(reader, `server.${number}.host`, security));
  const options: LdapOptions = {
    servers: servers.filter((server) => server !== undefined),
    security,
    tls: readTls(reader),
    bind: readBind(reader),
    userDn: readUserDn(reader),
    base: reader.text("users_base_dn") ?? "",
    userAttribute: reader.text("uname_attr") ?? "uid",
    filter: readFilter(reader),
    requiredGroup: reader.text("required_group"),
    nestedGroups: reader.flag("nested_groups", false),
    caseSensitive: reader.flag("case_sensitive", false),
    timeoutMs: reader.integer("timeout", { least: 1, most: 60 }, 4) * 1000,
    maxWaiting: reader.integer("max_waiting", { least: 1, most: 10_000 }, 200),
    maxConnections: reader.integer("max_connections", { least: 1, most: 256 }, 8),
  };
  if (reader.flag("sasl_external", false)) reader.fault("sasl_external", "false: client certificates are not offered");
  if (numbers.length === 0) return reader.done<LdapOptions>(undefined);
  if (options.userDn === undefined && options.base === "") {
    reader.fault("users_base_dn", "the DN below which users are searched (ou=people,dc=example,dc=org)");
  }
  if (!/^([A-Za-z][A-Za-z0-9-]*|\d+(\.\d+)+)$/.test(options.userAttribute)) {
    reader.fault("uname_attr", "the name of one attribute, as in uid or sAMAccountName");
  }
  for (const [key, dn] of [
    ["users_base_dn", options.base || undefined],
    ["required_group", options.requiredGroup],
  ] as const) {
    if (dn !== undefined && !dn.includes("=")) reader.fault(key, "a DN, as in ou=people,dc=example,dc=org");
  }
  return reader.done(options);
}

function readServer(reader: SettingsReader, key: string, security: LdapOptions["security"]): LdapServer | undefined {
  const text = reader.text(key);
  const address = text === undefined ? undefined : readHost(text);
  if (address === undefined) {
    reader.fault(key, "a host name or address, with an optional port, as in ldap.example.org:389");
    return undefined;
  }
  const port = address.port ?? (security === "ldaps" ? 636 : 389);
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return { name: `${host}:${port}`, host: address.host, port };
}

function readTls(reader: SettingsReader): LdapTls {
  const ca = reader.text("ssl_ca_cert");
  return {
    verify: reader.choice("ssl_verify", verifications, "yes") === "yes",
    ca: ca === undefined ? undefined : ca.includes("-----BEGIN ") ? { pem: ca } : { file: ca },
    minVersion: reader.choice("min_ssl", minVersions, "TLSv1.2"),
  };
}

function readBind(reader: SettingsReader): LdapOptions["bind"] {
  const dn = reader.text("bind_dn");
  const password = reader.secret("bind_pw");
  if (dn === undefined) return undefined;
  // A bind with a name and no password succeeds on many servers, and is anonymous.
  if (password === undefined) {
    reader.fault("bind_pw", "the password of auth.ldap.0.bind_dn");
    return undefined;
  }
  return { dn, password };
}

function readUserDn(reader: SettingsReader): string | undefined {
  const template = reader.text("user_dn");
  if (template === undefined) return undefined;
  // Somewhere in a value, never as one by itself: a name alone could be read as a SASL mechanism.
  if (/=[^,=]*\{username\}[^=]*(,|$)/.test(template) && template.split(usernamePlaceholder).length === 2)
    return template;
  reader.fault(
    "user_dn",
    `a DN with ${usernamePlaceholder} once, as in uid=${usernamePlaceholder},ou=people,dc=example`,
  );
  return undefined;
}

function readFilter(reader: SettingsReader): string | undefined {
  const filter = reader.text("add_req");
  if (filter === undefined) return undefined;
  try {
    parseFilter(filter);
    return filter;
  } catch {
    reader.fault("add_req", "an LDAP filter, as in memberOf=cn=vpn,ou=groups,dc=example,dc=org or (&(a=b)(c=d))");
    return undefined;
  }
}
