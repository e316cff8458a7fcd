import type { JsonObject, JsonValue } from "../json.ts";
import type { AuthMethod, PostAuthRequest } from "../request.ts";

/** What the daemon calls a script with, in Access Server's shapes and spelling. */
export type Arguments = {
  authcred: {
    username: string;
    client_ip_addr: string;
    client_hw_addr?: string;
    static_response?: string;
    password?: string;
  };
  attributes: {
    vpn_auth: boolean;
    reauth?: boolean;
    client_info?: Record<string, string>;
    auth_parms?: Record<string, string>;
    log_service_name?: string;
  };
  authret: { status: 0; user: string; reason: string; proplist?: Record<string, string>; [extra: string]: unknown };
  info: {
    auth_method: string;
    user_dn?: string;
    search_base?: string;
    radius_reply?: Record<string, string[]>;
    saml_attr?: Record<string, string[]>;
  };
};

/** The keys of `authret` that mean something to the server; all others are data that scripts pass along. */
export const reservedKeys: ReadonlySet<string> = new Set([
  "status",
  "user",
  "reason",
  "client_reason",
  "proplist",
  "state",
]);

export function readRequest({ authcred, attributes, authret, info }: Arguments): PostAuthRequest {
  const { vpn_auth: vpn, reauth = false, log_service_name: service } = attributes;
  return Object.freeze({
    user: authret.user,
    signedInAs: authcred.username,
    clientAddress: authcred.client_ip_addr,
    hardwareAddress: authcred.client_hw_addr,
    clientInfo: dictionary(attributes.client_info),
    certificateFields: dictionary(attributes.auth_parms),
    method: info.auth_method as AuthMethod,
    reason: authret.reason,
    properties: dictionary(authret.proplist),
    data: readData(authret),
    source: vpn ? "vpn" : service === "WEB_CLIENT" ? "web" : "other",
    reauth,
    password: authcred.password,
    staticResponse: authcred.static_response,
  });
}

/** A copy in which no name is taken by what every object inherits: clients and directories choose these names. */
export function dictionary<Value>(record: Readonly<Record<string, Value>> = {}): Readonly<Record<string, Value>> {
  return Object.freeze(Object.assign(Object.create(null), record));
}

function readData(authret: Arguments["authret"]): Readonly<JsonObject> {
  const extra = Object.entries(authret).filter(([key]) => !reservedKeys.has(key));
  return dictionary(Object.fromEntries(extra.map(([key, value]) => [key, numbersOf(value as JsonValue)])));
}

/** Python's floats arrive as `{ $float: "1.0" }` where JSON would make integers of them. */
function numbersOf(value: JsonValue): JsonValue {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(numbersOf);
  const { $float } = value;
  if (typeof $float === "string" && Object.keys(value).length === 1) return Number($float);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, numbersOf(one)]));
}
