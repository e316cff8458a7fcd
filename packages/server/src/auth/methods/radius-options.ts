import { isIP } from "node:net";
import type { RadiusServer } from "../../radius/client.ts";
import {
  createSettingsReader,
  readHost,
  type Settings,
  type SettingsReader,
  type SettingsReading,
} from "./settings.ts";

export type RadiusOptions = {
  /** In the order they are asked. */
  servers: RadiusServer[];
  /** How the password is presented. */
  password: "pap" | "chap" | "mschapv2";
  /** Before the same packet is sent again, and how often it is sent to one server in all. */
  tryMs: number;
  tries: number;
  nasIdentifier: string;
  nasAddress: string | undefined;
  /** What Calling-Station-Id holds: where the client comes from, or its hardware address where it told one. */
  callingStationId: "address" | "hardware";
  /** Whether `ALICE` and `alice` are two users; otherwise names are written in lower case from then on. */
  caseSensitive: boolean;
  maxWaiting: number;
};

const passwords = {
  pap: "pap",
  chap: "chap",
  mschapv2: "mschapv2",
  "mschap-v2": "mschapv2",
  mschap2: "mschapv2",
} as const;
const stations = { address: "address", hardware: "hardware" } as const;

/** Reads `auth.radius.0.*`. Names and defaults are Access Server's; docs/auth-methods.md lists them and ours. */
export function readRadiusSettings(
  settings: Settings,
  defaults: { nasIdentifier: string },
): SettingsReading<RadiusOptions> {
  const reader = createSettingsReader(settings, "auth.radius.0.");
  reader.ignore("name", "enable", "acct_enable");
  const numbers = reader.numbers("server");
  const servers = numbers.map((number) => readServer(reader, `server.${number}`));
  const nasAddress = reader.text("nas_ip_address");
  const options: RadiusOptions = {
    servers: servers.filter((server) => server !== undefined),
    password: reader.choice("auth_method", passwords, "pap"),
    tryMs: reader.integer("per_server_timeout", { least: 1, most: 300 }, 5) * 1000,
    tries: 1 + reader.integer("per_server_retries", { least: 0, most: 10 }, 2),
    nasIdentifier: reader.text("nas_identifier") ?? defaults.nasIdentifier,
    nasAddress,
    callingStationId: reader.choice("calling_station_id", stations, "address"),
    caseSensitive: reader.flag("case_sensitive", false),
    maxWaiting: reader.integer("max_waiting", { least: 1, most: 10_000 }, 1000),
  };
  if (Buffer.byteLength(options.nasIdentifier) > 253) reader.fault("nas_identifier", "at most 253 bytes");
  if (nasAddress !== undefined && isIP(nasAddress) === 0) {
    reader.fault("nas_ip_address", "an IPv4 or IPv6 address of this server");
  }
  return reader.done(numbers.length === 0 ? undefined : options);
}

function readServer(reader: SettingsReader, prefix: string): RadiusServer | undefined {
  const text = reader.text(`${prefix}.host`);
  const address = text === undefined ? undefined : readHost(text);
  const secret = reader.secret(`${prefix}.secret`);
  const authPort = reader.integer(`${prefix}.auth_port`, { least: 1, most: 65_535 }, address?.port ?? 1812);
  reader.integer(`${prefix}.acct_port`, { least: 1, most: 65_535 }, 1813);
  const requireMessageAuthenticator = reader.flag(`${prefix}.require_message_authenticator`, true);
  if (address === undefined) reader.fault(`${prefix}.host`, "a host name or address, as in radius.example.org");
  if (secret === undefined) reader.fault(`${prefix}.secret`, "the secret shared with this server");
  if (address === undefined || secret === undefined) return undefined;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return { name: `${host}:${authPort}`, host: address.host, port: authPort, secret, requireMessageAuthenticator };
}
