/** Settings of Access Server's that mean the same here. */
const known = [
  /^auth\.module\.type$/,
  /^auth\.(ldap|radius|pam|saml|local)\.\d+\./,
  /^vpn\.client\.(app_verify|admin_scripts|script_reports)$/,
  /^vpn\.server\.google_auth\.enable$/,
  /^vpn\.server\.session_expire$/,
];

/** Where what others said is said here. */
const elsewhere: readonly (readonly [RegExp, string])[] = [
  [/^host\.name$/, "node.hostName and http.publicUrl in sallyport.yaml"],
  [/^vpn\.server\.routing\.private_network\./, "routes of a profile in sallyport.yaml"],
  [/^vpn\.server\.routing\.private_access$/, "forwarding and nat of a profile in sallyport.yaml"],
  [/^vpn\.client\.routing\./, "routes and dns of a profile in sallyport.yaml, or prop_reroute_gw_override"],
  [/^vpn\.server\.dhcp_option\./, "dns of a profile in sallyport.yaml"],
  [
    /^vpn\.(daemon\.\d+\.client|server\.group_pool|server\.static)\b/,
    "ranges of a profile, or a group's group_subnets.N",
  ],
  [/^vpn\.(server\.daemon|daemon\.\d+\.listen|server\.port_share)/, "listen of a profile in sallyport.yaml"],
  [/^vpn\.server\.tls_auth|^vpn\.server\.(cipher|tls_version|data_ciphers)|^vpn\.tls_/, "nothing: chosen by Sallyport"],
  [/^(cs|admin_ui)\./, "http in sallyport.yaml"],
  [/^auth\.module\.lockout_policy\./, "lockOut in sallyport.yaml"],
  [/^vpn\.server\.(session|duplicate_cn)|^sa\.session/, "prop_expire and prop_max_connections"],
];

/** Null where the setting is taken over as it is, else where to say it instead. */
export function settingReason(key: string): string | null {
  if (known.some((pattern) => pattern.test(key))) return null;
  const place = elsewhere.find(([pattern]) => pattern.test(key))?.[1];
  return place === undefined ? "nothing here reads it" : `here: ${place}`;
}
