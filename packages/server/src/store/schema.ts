import type { EndReason } from "../core/connection.ts";
import type { DeliveryState, HookEvent } from "../core/hook.ts";
import type { PropertyOwner } from "../core/properties.ts";
import type { ClientScriptTables } from "./client-script-tables.ts";
import type { ClientConfigEnd, ClientConfigKind, ScriptVersion } from "./store.ts";

/**
 * The tables as every engine has them. Times are ISO 8601 UTC text of one width, so that they sort as text; truth is
 * 0 or 1; what is only ever read whole is JSON text. `bigint` columns come back as text from some engines: read them
 * with `Number`.
 */
export type Tables = ClientScriptTables & {
  users: UserTable;
  groups: GroupTable;
  properties: PropertyTable;
  settings: SettingTable;
  client_configs: ClientConfigTable;
  scripts: ScriptTable;
  script_numbers: ScriptNumberTable;
  script_versions: ScriptVersionTable;
  script_activations: ScriptActivationTable;
  attempts: AttemptTable;
  connections: ConnectionTable;
  addresses: AddressTable;
  address_cursors: AddressCursorTable;
  deliveries: DeliveryTable;
  challenges: ChallengeTable;
  sessions: SessionTable;
};

type ChallengeTable = {
  id: string;
  user_id: string;
  profile_id: string | null;
  serial: string | null;
  expires_at: string;
  carried: string;
};

type SessionTable = {
  id: string;
  user_id: string;
  signed_in_as: string;
  profile_id: string;
  connection_id: string;
  created_at: string;
  expires_at: string | null;
  states: string;
};

type UserTable = { id: string; password_digest: string | null; disabled: number; created_at: string };

type GroupTable = { id: string; created_at: string };

/** `owner_name` is empty for the default. */
type PropertyTable = { owner_kind: PropertyOwner["kind"]; owner_name: string; key: string; value: string };

type SettingTable = { key: string; value: string };

export type ClientConfigTable = {
  id: string;
  user_id: string | null;
  profile_id: string;
  kind: ClientConfigKind;
  protocol: "openvpn" | "wireguard";
  connection_id: string;
  serial: string | null;
  created_at: string;
  expires_at: string;
  revoked_at: string | null;
  /** Null while a WireGuard device is being asked for. */
  issued_at: string | null;
  end_reason: ClientConfigEnd | null;
  away_at: string | null;
  preshared_key: string | null;
  ipv4: string | null;
  ipv6: string | null;
  last_seen_at: string | null;
  endpoint: string | null;
};

type ScriptTable = { id: string; position: number; active_version: number | null };

/** The last version number given, kept when the script is removed: a number never names two texts. */
type ScriptNumberTable = { script: string; latest_version: number };

export type ScriptVersionTable = {
  script: string;
  version: number;
  language: ScriptVersion["language"];
  text: string;
  sha256: string;
  cases: string | null;
  created_at: string;
  created_by: string;
};

type ScriptActivationTable = { script: string; number: number; version: number | null; at: string };

/** `record` is the whole AttemptRecord; the other columns are what attempts are looked up by. */
type AttemptTable = { id: string; at: string; user_id: string | null; record: string };

export type ConnectionTable = {
  id: string;
  user_id: string;
  profile_id: string;
  node_number: number;
  listener: string;
  protocol: "openvpn" | "wireguard";
  connection_id: string;
  tunnel_key: string;
  attempt_id: string;
  ipv4: string | null;
  ipv6: string | null;
  originating_ip: string | null;
  state: "reserved" | "admitted" | "open" | "ended";
  properties: string;
  group_snapshot: string | null;
  connect_event_id: string;
  disconnect_event_id: string;
  reserved_at: string;
  admitted_at: string | null;
  established_at: string | null;
  expires_at: string | null;
  /** Set exactly where `state` is `ended`: indexes of what is not ended are built on it. */
  ended_at: string | null;
  end_reason: EndReason | null;
  end_detail: string | null;
  bytes_in: number;
  bytes_out: number;
  /** 1 once it is ended and holds no address: then no driver knows it any more. */
  finished: number;
  client_config_id: string | null;
  trigger: "config" | "handshake" | null;
  /** JSON. */
  radius_classes: string | null;
};

/**
 * Who holds which address. `block` and `place` are the address as numbers of which every engine can compute the next
 * one: an IPv4 address is its place in the block `4`, an IPv6 address the place (its last 48 bits) in a block named by
 * its first 80 bits in hex. `connection_id` is the holder: a connection, or the client config that has it for good.
 */
export type AddressTable = { address: string; block: string; place: number; connection_id: string };

/** The last address handed out of a range, by its CIDR. */
type AddressCursorTable = { range: string; address: string };

export type DeliveryTable = {
  id: string;
  event_id: string;
  session_id: string;
  hook: string;
  event: HookEvent;
  veto: number;
  state: DeliveryState;
  attempts: number;
  next_at: string;
  lease_until: string | null;
  /** 1 for a disconnect while the same hook has yet to be told of the connect: it is not due, whatever `next_at` says. */
  blocked: number;
  /** A disconnect that waits until `next_at` for its device to come back: whose. */
  held_for: string | null;
  /** `Delivery.earlier` as JSON. */
  earlier: string | null;
  /** Of a disconnect: the addresses that its connection had. */
  ipv4: string | null;
  ipv6: string | null;
  created_at: string;
  finished_at: string | null;
  duration_ms: number | null;
  output: string | null;
  error: string | null;
};
