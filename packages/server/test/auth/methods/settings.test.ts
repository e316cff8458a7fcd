import { describe, expect, test } from "vitest";
import { readLdapSettings } from "../../../src/auth/methods/ldap-options.ts";
import { readPamSettings } from "../../../src/auth/methods/pam-options.ts";
import { readRadiusSettings } from "../../../src/auth/methods/radius-options.ts";
import { readHost, type Settings } from "../../../src/auth/methods/settings.ts";
import { Secret } from "../../../src/core/secret.ts";

const within = (prefix: string, settings: Settings): Settings =>
  Object.fromEntries(Object.entries(settings).map(([key, value]) => [prefix + key, value]));

describe("LDAP settings", () => {
  const least = { "server.0.host": "ldap.example.org", users_base_dn: "ou=people,dc=example,dc=org" };
  const read = (more: Settings = {}) => readLdapSettings(within("auth.ldap.0.", { ...least, ...more }));
  const faults = (more: Settings) => read(more).faults.map((fault) => fault.key);

  test("nothing set is no method and no fault", () => {
    expect(readLdapSettings({ "auth.module.type": "local" })).toEqual({ options: undefined, faults: [], warnings: [] });
  });

  test("a host and a base are enough; the rest has Access Server's defaults", () => {
    expect(read()).toEqual({
      faults: [],
      warnings: [],
      options: {
        servers: [{ name: "ldap.example.org:389", host: "ldap.example.org", port: 389 }],
        security: "plain",
        tls: { verify: true, ca: undefined, minVersion: "TLSv1.2" },
        bind: undefined,
        userDn: undefined,
        base: "ou=people,dc=example,dc=org",
        userAttribute: "uid",
        filter: undefined,
        requiredGroup: undefined,
        nestedGroups: false,
        caseSensitive: false,
        timeoutMs: 4000,
        maxWaiting: 200,
        maxConnections: 8,
      },
    });
  });

  test("what Access Server's own tools set is read without a fault or a warning", () => {
    const { options, faults, warnings } = read({
      name: "JumpCloud Secure LDAP",
      enable: "true",
      "server.1.host": "192.0.2.7:3890",
      "server.10.host": "[2001:db8::1]:636",
      use_ssl: "always",
      ssl_verify: "demand",
      ssl_ca_cert: "/etc/ssl/certs/chain.pem",
      min_ssl: "tls1_2",
      sasl_external: "false",
      case_sensitive: "false",
      bind_dn: "uid=vpn,ou=Users,dc=example,dc=org",
      bind_pw: "s3cret",
      uname_attr: "sAMAccountName",
      add_req: "memberOf=cn=OpenVPN LDAP Users,ou=Users,dc=example,dc=org",
      timeout: "10",
      user_exists_check: "true",
      debug_level: "1",
      openldap_trace_level: "1",
    });
    expect([faults, warnings]).toEqual([[], []]);
    expect(options?.servers.map((server) => server.name)).toEqual([
      "ldap.example.org:636",
      "192.0.2.7:3890",
      "[2001:db8::1]:636",
    ]);
    expect(options).toMatchObject({
      security: "ldaps",
      tls: { verify: true, ca: { file: "/etc/ssl/certs/chain.pem" } },
      timeoutMs: 10_000,
    });
    expect(options?.bind?.password).toBeInstanceOf(Secret);
    expect(JSON.stringify(options)).not.toContain("s3cret");
  });

  test.each([
    ["a server without a host", { "server.1.host": "" }, "auth.ldap.0.server.1.host"],
    ["a URL as host", { "server.0.host": "ldaps://x" }, "auth.ldap.0.server.0.host"],
    ["a port out of range", { "server.0.host": "x:70000" }, "auth.ldap.0.server.0.host"],
    ["a bind DN without a password", { bind_dn: "cn=vpn" }, "auth.ldap.0.bind_pw"],
    ["no base", { users_base_dn: "" }, "auth.ldap.0.users_base_dn"],
    ["a base that is no DN", { users_base_dn: "people" }, "auth.ldap.0.users_base_dn"],
    ["an attribute that is a filter", { uname_attr: "uid=*)(x" }, "auth.ldap.0.uname_attr"],
    ["a filter that is none", { add_req: "(a=b" }, "auth.ldap.0.add_req"],
    ["a word for TLS that nobody knows", { use_ssl: "maybe" }, "auth.ldap.0.use_ssl"],
    ["a time-out of nothing", { timeout: "0" }, "auth.ldap.0.timeout"],
    ["a time-out that is no number", { timeout: "4s" }, "auth.ldap.0.timeout"],
    ["a client certificate", { sasl_external: "true" }, "auth.ldap.0.sasl_external"],
    ["a template that is a bare name", { user_dn: "{username}" }, "auth.ldap.0.user_dn"],
    ["a template without a name", { user_dn: "uid=x,dc=example" }, "auth.ldap.0.user_dn"],
    ["a group that is no DN", { required_group: "vpn" }, "auth.ldap.0.required_group"],
  ])("%s is a fault that names the key", (_what, settings, key) => {
    expect(faults(settings)).toContain(key);
    expect(read(settings).options).toBeUndefined();
  });

  test("a fault shows what was found, but never a secret", () => {
    const { faults } = read({ timeout: "soon", bind_pw: "s3cret" });
    expect(faults).toEqual([{ key: "auth.ldap.0.timeout", expected: "a whole number from 1 to 60", found: '"soon"' }]);
  });

  test("a key that nobody knows is a warning, not a fault", () => {
    expect(read({ base_dn: "dc=example" })).toMatchObject({
      faults: [],
      warnings: ["auth.ldap.0.base_dn is not a setting that is known here; it has no effect"],
    });
  });

  test("a template makes the base unnecessary", () => {
    expect(faults({ users_base_dn: "", user_dn: "uid={username},ou=people,dc=example" })).toEqual([]);
  });
});

describe("RADIUS settings", () => {
  const least = { "server.0.host": "radius.example.org", "server.0.secret": "s3cret" };
  const defaults = { nasIdentifier: "vpn.example.org" };
  const read = (more: Settings = {}) => readRadiusSettings(within("auth.radius.0.", { ...least, ...more }), defaults);

  test("nothing set is no method and no fault", () => {
    expect(readRadiusSettings({}, defaults)).toEqual({ options: undefined, faults: [], warnings: [] });
    // Every Access Server has these two, whether RADIUS is used or not.
    const untouched = within("auth.radius.0.", { acct_enable: "false", name: "My Radius servers" });
    expect(readRadiusSettings(untouched, defaults)).toEqual({ options: undefined, faults: [], warnings: [] });
  });

  test("a host and a secret are enough; replies must then be signed", () => {
    const { options, faults, warnings } = read();
    expect([faults, warnings]).toEqual([[], []]);
    expect(options).toMatchObject({
      servers: [{ name: "radius.example.org:1812", port: 1812, requireMessageAuthenticator: true }],
      password: "pap",
      tryMs: 5000,
      tries: 3,
      nasIdentifier: "vpn.example.org",
      callingStationId: "address",
      caseSensitive: false,
    });
    expect(options?.servers[0]?.secret.reveal()).toBe("s3cret");
    expect(JSON.stringify(options)).not.toContain("s3cret");
  });

  test("what Access Server's own tools set is read without a fault or a warning", () => {
    const { options, faults, warnings } = read({
      enable: "True",
      name: "OktaRADIUS",
      auth_method: "mschapv2",
      per_server_retries: "0",
      per_server_timeout: "180",
      case_sensitive: "true",
      acct_enable: "true",
      "server.0.auth_port": "1645",
      "server.0.acct_port": "1646",
      "server.1.host": "192.0.2.9",
      "server.1.secret": "other",
    });
    expect([faults, warnings]).toEqual([[], []]);
    expect(options).toMatchObject({ password: "mschapv2", tryMs: 180_000, tries: 1, caseSensitive: true });
    expect(options?.servers.map((server) => server.name)).toEqual(["radius.example.org:1645", "192.0.2.9:1812"]);
  });

  test.each([
    ["a server without a secret", { "server.0.secret": "" }, "auth.radius.0.server.0.secret"],
    ["a server without a host", { "server.1.secret": "x" }, "auth.radius.0.server.1.host"],
    ["a port that is none", { "server.0.auth_port": "0" }, "auth.radius.0.server.0.auth_port"],
    ["a way to present passwords that nobody knows", { auth_method: "eap" }, "auth.radius.0.auth_method"],
    ["a time-out that is none", { per_server_timeout: "-1" }, "auth.radius.0.per_server_timeout"],
    ["too many retries", { per_server_retries: "11" }, "auth.radius.0.per_server_retries"],
    ["an address that is none", { nas_ip_address: "vpn" }, "auth.radius.0.nas_ip_address"],
    ["an identifier too long to send", { nas_identifier: "x".repeat(254) }, "auth.radius.0.nas_identifier"],
    [
      "a flag that is none",
      { "server.0.require_message_authenticator": "maybe" },
      "auth.radius.0.server.0.require_message_authenticator",
    ],
  ])("%s is a fault that names the key", (_what, settings, key) => {
    expect(read(settings).faults.map((fault) => fault.key)).toEqual([key]);
    expect(read(settings).options).toBeUndefined();
  });
});

describe("PAM settings", () => {
  const read = (settings: Settings = {}) => readPamSettings(within("auth.pam.0.", settings));

  test("none are needed", () => {
    expect(read()).toEqual({
      options: { service: "sallyport", timeoutMs: 30_000, workers: 4, maxWaiting: 100 },
      faults: [],
      warnings: [],
    });
  });

  test("Access Server's service name is kept", () => {
    expect(read({ service: "openvpnas", enable: "true" }).options?.service).toBe("openvpnas");
  });

  test.each([
    ["a path", { service: "../shadow" }, "auth.pam.0.service"],
    ["a name with a blank", { service: "a b" }, "auth.pam.0.service"],
    ["no workers", { workers: "0" }, "auth.pam.0.workers"],
    ["no time", { timeout: "0" }, "auth.pam.0.timeout"],
  ])("%s is a fault that names the key", (_what, settings, key) => {
    expect(read(settings).faults.map((fault) => fault.key)).toEqual([key]);
  });
});

test.each([
  ["ldap.example.org", { host: "ldap.example.org", port: undefined }],
  ["192.0.2.1:99", { host: "192.0.2.1", port: 99 }],
  ["2001:db8::1", { host: "2001:db8::1", port: undefined }],
  ["[2001:db8::1]", { host: "2001:db8::1", port: undefined }],
  ["[2001:db8::1]:99", { host: "2001:db8::1", port: 99 }],
  ["a b", undefined],
  ["a:b", undefined],
  ["a/b", undefined],
  ["user@host", undefined],
  [":99", undefined],
  ["x:0", undefined],
])("the host setting %j is read as %j", (text, host) => {
  expect(readHost(text)).toEqual(host);
});
