import { z } from "zod";
import { parseAddress, parseRange } from "../core/address-range.ts";
import { parseDuration } from "./duration.ts";
import { parseEndpoint, parseListener, parseManagement, parseSocketAddress } from "./listen.ts";

/*
 * The shapes of `sallyport.yaml` as it is written. Every message says what was expected, so that a fault can put it
 * beside what was found; the message of an unknown key lists the known ones, for "did you mean".
 */

function parsed<T>(expected: string, parse: (text: string) => T | undefined) {
  return z.string({ error: expected }).transform((text, context): T => {
    const value = parse(text);
    if (value === undefined) context.issues.push({ code: "custom", message: expected, input: text });
    return value ?? z.NEVER;
  });
}

/** An address stands for itself alone. */
function parseAddressOrRange(value: string) {
  return parseRange(value) ?? parseRange(`${value}/${value.includes(":") ? 128 : 32}`);
}

const text = (expected: string, allowed: (text: string) => boolean) =>
  parsed(expected, (value) => (allowed(value) ? value : undefined));

const matching = (expected: string, pattern: RegExp) => text(expected, (value) => pattern.test(value));

function whole(lowest: number, highest: number) {
  const error = `a whole number from ${lowest} to ${highest}`;
  return z.int({ error }).min(lowest, { error }).max(highest, { error });
}

const truth = z.boolean({ error: "true or false" });

const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: values.join(" or ") });

function listOf<T extends z.ZodType>(item: T, what: string, bounds: { min?: number; max: number }) {
  const error = `a list of ${what}${bounds.min ? `, at least ${bounds.min}` : ""} and at most ${bounds.max}`;
  return z
    .array(item, { error })
    .min(bounds.min ?? 0, { error })
    .max(bounds.max, { error });
}

function section<T extends z.ZodRawShape>(shape: T) {
  const keys = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? keys.join(" ") : `keys with values (${keys.join(", ")})`),
  });
}

const absolutePath = text("an absolute path", (value) => value.startsWith("/"));
const path = text("a path", (value) => value !== "");
const account = matching("the name of an account", /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/);
const range = (family: 4 | 6, example: string) =>
  parsed(`an IPv${family} range such as ${example}`, (value) => {
    const found = parseRange(value);
    return found?.family === family ? found : undefined;
  });

function isWebUrl(value: string): boolean {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return url !== undefined && ["http:", "https:"].includes(url.protocol) && url.username === "" && url.password === "";
}

const webUrl = text("an http:// or https:// URL without user name and password", isWebUrl);
const hostName = text(
  "a host name or an address",
  (value) =>
    parseAddress(value) !== undefined ||
    (value.length <= 253 &&
      /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(value)),
);
const secretText = text("a secret that is not empty", (value) => value !== "");

const hookCommon = {
  name: matching("a name of up to 64 letters, digits, '.', '_' and '-'", /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  events: listOf(oneOf(["connect", "disconnect"]), "events (connect, disconnect)", { min: 1, max: 2 }).default([
    "connect",
    "disconnect",
  ]),
  veto: truth.default(false),
  deadlineMs: whole(1, 600_000).default(5000),
  onFailure: oneOf(["deny", "allow"]).optional(),
  showOutput: truth.default(false),
  concurrency: whole(1, 256).optional(),
  graceSeconds: whole(0, 86_400).default(0),
  retry: section({
    attempts: whole(1, 1000).default(30),
    firstWaitMs: whole(1, 86_400_000).default(1000),
    longestWaitMs: whole(1, 86_400_000).default(3_600_000),
  }).prefault({}),
};

/** What a kind that can refuse nobody has in common with the others. */
const { veto: _veto, onFailure: _onFailure, showOutput: _showOutput, ...observerCommon } = hookCommon;

const radiusServer = {
  server: hostName,
  port: whole(1, 65_535).default(1813),
  secret: secretText.optional(),
  secretFile: path.optional(),
};

/** A hook is of the kind whose key it has. */
export const hookSchemas = {
  script: section({
    ...hookCommon,
    script: path,
    account: account.optional(),
    legacyVariableNames: truth.default(false),
  }),
  webhook: section({
    ...hookCommon,
    webhook: webUrl,
    secret: secretText.optional(),
    secretFile: path.optional(),
    caFile: path.optional(),
    proxy: webUrl.optional(),
    circuitBreaker: section({
      failures: whole(1, 1000).default(5),
      pauseMs: whole(100, 3_600_000).default(15_000),
    }).prefault({}),
  }),
  log: section({ ...hookCommon, log: path, sync: truth.default(true) }),
  module: section({ ...hookCommon, module: path }),
  radiusAccounting: section({
    ...observerCommon,
    radiusAccounting: section({
      ...radiusServer,
      failover: listOf(section(radiusServer), "servers", { max: 7 }).default([]),
      interimSeconds: whole(60, 86_400).default(600),
    }),
  }),
};

const interfaceName = matching("an interface name of up to 15 characters", /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/);

const openvpn = section({
  managed: section({
    listen: listOf(
      parsed("a listener such as udp/1194, udp/192.0.2.1:1194 or udp/[::]:1194", parseListener),
      "listeners",
      { min: 1, max: 16 },
    ).prefault(["udp/1194"]),
    wakeUp: truth.default(true),
    renegotiateSeconds: whole(1, 604_800).default(3600),
  }).optional(),
  attach: parsed(
    "unix:/PATH or tcp:ADDRESS:PORT, with listen: in front where the server connects",
    parseManagement,
  ).optional(),
  passwordFile: path.optional(),
  certificates: oneOf(["any", "ours"]).optional(),
  wakeUp: truth.optional(),
});

const wireguard = section({
  managed: section({ interface: interfaceName, listenPort: whole(1, 65_535) }).optional(),
  attach: interfaceName.optional(),
  trigger: oneOf(["config", "handshake"]).default("config"),
  // WireGuard shakes hands every two minutes while something is sent: less would end who is there.
  silenceSeconds: whole(150, 86_400).default(180),
  maxDevices: whole(1, 100_000).optional(),
  presharedKeys: truth.default(false),
  unusedDays: whole(1, 3650).optional(),
  endpoint: parsed("a host and port such as vpn.example.org:51820", parseEndpoint).optional(),
});

export const profileSchema = section({
  id: matching("an id of up to 32 letters, digits, '.', '_' and '-'", /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/),
  displayName: text("a name of 1 to 100 characters", (value) => value.trim() !== "" && value.length <= 100).optional(),
  openvpn: openvpn.optional(),
  wireguard: wireguard.optional(),
  ranges: section({ ipv4: range(4, "10.42.0.0/20").optional(), ipv6: range(6, "fd42:1::/64").optional() }),
  routes: listOf(parsed("a range such as 10.0.0.0/8 or fd00::/8", parseRange), "ranges", { max: 200 }).default([]),
  forwarding: truth.default(false),
  nat: oneOf(["masquerade", "none"]).default("none"),
  dns: listOf(parsed("an address such as 10.0.0.53", parseAddress), "addresses", { max: 8 }).default([]),
  sessionExpiry: parsed("an ISO 8601 duration of at most ten years, such as P30D or PT12H", parseDuration).optional(),
});

function isPostgresUrl(value: string): boolean {
  return URL.canParse(value) && ["postgres:", "postgresql:"].includes(new URL(value).protocol);
}

const postgresUrl = text("sqlite, or a URL such as postgres://user@host/db", isPostgresUrl);

/** `database` may be a word, a URL or a mapping; which of them decides the schema, so that faults stay plain. */
export const databaseSchemas = {
  text: text("sqlite, or a URL such as postgres://user@host/db", (value) => value === "sqlite" || isPostgresUrl(value)),
  mapping: section({ url: postgresUrl, passwordFile: path.optional() }),
};

/** Every top key but `hooks`, `profiles` and `database`, which are read piece by piece. */
export const topSchemas = {
  dataDirectory: absolutePath,
  node: section({
    number: whole(0, 65_535).default(0),
    url: webUrl.optional(),
    hostName: hostName.optional(),
  }).prefault({}),
  http: section({
    listen: parsed("an address and port such as 0.0.0.0:8443 or [::]:8443", parseSocketAddress).prefault(
      "0.0.0.0:8443",
    ),
    publicUrl: webUrl.optional(),
    tls: section({ cert: path, key: path }).optional(),
    metrics: section({
      allow: listOf(parsed("an address or a range such as 10.0.0.0/8", parseAddressOrRange), "addresses and ranges", {
        max: 100,
      }).prefault(["127.0.0.0/8", "::1/128"]),
      tokenFile: path.optional(),
    }).prefault({}),
  }).prefault({}),
  connectScriptPath: path.optional(),
  scripts: section({
    account: account.default("nobody"),
    python: path.default("/usr/bin/python3"),
    deadlineMs: whole(1, 600_000).default(10_000),
    workers: whole(1, 64).default(2),
    threads: whole(1, 256).default(128),
    mostQuestions: whole(1, 100).default(10),
  }).prefault({}),
  lockOut: section({
    failures: whole(1, 1_000_000).default(10),
    addressFailures: whole(1, 1_000_000).optional(),
    windowMinutes: whole(1, 10_080).default(15),
  }).prefault({}),
  geoIp: section({ database: path }).optional(),
  keep: section({
    attemptsDays: whole(1, 36_500).default(90),
    connectionsDays: whole(1, 36_500).default(365),
    deliveriesDays: whole(1, 36_500).default(90),
  }).prefault({}),
};

export const topKeys = [
  "dataDirectory",
  "database",
  "node",
  "http",
  "connectScriptPath",
  "hooks",
  "geoIp",
  "profiles",
  "scripts",
  "lockOut",
  "keep",
] as const;
