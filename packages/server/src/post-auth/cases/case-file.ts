import type { DirectoryEntry } from "../../core/directory-search.ts";
import type { PostAuthInput } from "../../core/post-auth.ts";
import { Secret } from "../../core/secret.ts";
import { caseFault, type Place, readPlaces } from "./yaml-reader.ts";

/** What a case expects; a key that is left out may be anything. */
export type Expectation = {
  status?: number;
  user?: string | null;
  reason?: string | null;
  client_reason?: string | null;
  /** These properties with these values, among others; null: not there. */
  proplist?: Record<string, string | null>;
  proplist_save?: Record<string, string | null>;
  /** The texts of the questions, in order. */
  challenges?: string[];
  /** Found anywhere in what was printed, or in the error. */
  printed?: string;
  error?: string | null;
};

export type ScriptCase = {
  name: string;
  input: PostAuthInput;
  /** Undefined: there is no `ldap_context`. */
  ldap: DirectoryEntry[] | undefined;
  uname_attr: string;
  responses: string[];
  /** The script's settings in this case; undefined: those it would have anyway. */
  settings: Record<string, unknown> | undefined;
  expect: Expectation | undefined;
};

/** Reads a list of cases (INTERFACES, "Script cases"). Throws `invalid-input` that names the line. */
export function readCases(text: string): ScriptCase[] {
  const top = readPlaces(text);
  if (top.kind !== "list" || top.items.length === 0) {
    throw caseFault(top.line, "a list of cases is expected, each beginning with a hyphen");
  }
  return top.items.map((item, i) => readCase(item, i + 1));
}

const caseKeys = [
  "name",
  "authcred",
  "attributes",
  "authret",
  "info",
  "ldap",
  "uname_attr",
  "responses",
  "settings",
  "expect",
];

function readCase(place: Place, number: number): ScriptCase {
  const fields = mapping(place, "a case", caseKeys);
  const ldap = fields.get("ldap");
  const expect = fields.get("expect");
  return {
    name: optional(fields.get("name"), text) ?? `case ${number}`,
    input: readInput(fields, place),
    ldap: ldap && list(ldap, "ldap").map(readEntry),
    uname_attr: optional(fields.get("uname_attr"), text) ?? "uid",
    responses: list(fields.get("responses"), "responses").map(text),
    settings: optional(fields.get("settings"), settingsOf),
    expect: expect && readExpectation(expect),
  };
}

function readInput(fields: Map<string, Place>, place: Place): PostAuthInput {
  const credKeys = ["username", "client_ip_addr", "client_hw_addr", "static_response", "password"];
  const authcred = mapping(fields.get("authcred") ?? place, "authcred", fields.has("authcred") ? credKeys : undefined);
  const retKeys = ["status", "user", "reason", "proplist"];
  const authret = mapping(fields.get("authret"), "authret", retKeys);
  const username = fields.has("authcred") ? optional(authcred.get("username"), text) : undefined;
  const user = optional(authret.get("user"), text) ?? username;
  if (user === undefined) throw caseFault(place.line, "the case names nobody: authcred.username is missing");
  const given = (key: string) => (fields.has("authcred") ? optional(authcred.get(key), text) : undefined);
  const [hardware, response, password] = ["client_hw_addr", "static_response", "password"].map(given);
  return {
    authcred: {
      username: username ?? user,
      client_ip_addr: given("client_ip_addr") ?? "192.0.2.1",
      ...(hardware !== undefined && { client_hw_addr: hardware }),
      ...(response !== undefined && { static_response: new Secret(response) }),
      ...(password !== undefined && { password: new Secret(password) }),
    },
    attributes: readAttributes(fields.get("attributes")),
    authret: {
      // What the method decided; a script is never called for somebody it refused.
      status: status(authret.get("status")),
      user,
      reason: optional(authret.get("reason"), text) ?? "local auth succeeded",
      proplist: texts(authret.get("proplist"), "proplist"),
    },
    info: readInfo(fields.get("info")),
  };
}

function status(place: Place | undefined): 0 {
  if (place !== undefined && text(place) !== "0") {
    throw caseFault(
      place.line,
      "authret.status is 0 when a script is called: whoever the method refused never gets there",
    );
  }
  return 0;
}

function readAttributes(place: Place | undefined): PostAuthInput["attributes"] {
  const keys = ["vpn_auth", "reauth", "client_info", "auth_parms", "log_service_name"];
  const fields = mapping(place, "attributes", keys);
  const vpn = optional(fields.get("vpn_auth"), flag) ?? true;
  const service = optional(fields.get("log_service_name"), text);
  return {
    vpn_auth: vpn,
    ...((vpn || fields.has("reauth")) && { reauth: optional(fields.get("reauth"), flag) ?? false }),
    ...((vpn || fields.has("client_info")) && { client_info: texts(fields.get("client_info"), "client_info") }),
    ...((vpn || fields.has("auth_parms")) && { auth_parms: texts(fields.get("auth_parms"), "auth_parms") }),
    ...(service !== undefined && { log_service_name: service }),
  };
}

function readInfo(place: Place | undefined): PostAuthInput["info"] {
  const fields = mapping(place, "info", ["auth_method", "user_dn", "search_base", "radius_reply", "saml_attr"]);
  const [user_dn, search_base] = ["user_dn", "search_base"].map((key) => optional(fields.get(key), text));
  const radius = fields.get("radius_reply");
  const saml = fields.get("saml_attr");
  return {
    auth_method: optional(fields.get("auth_method"), text) ?? "local",
    ...(user_dn !== undefined && { user_dn }),
    ...(search_base !== undefined && { search_base }),
    ...(radius && { radius_reply: textLists(radius, "radius_reply", /^\d+$/) }),
    ...(saml && { saml_attr: textLists(saml, "saml_attr", /./) }),
  };
}

function readEntry(place: Place): DirectoryEntry {
  const fields = mapping(place, "an entry of ldap", ["dn", "attributes"]);
  const dn = fields.get("dn");
  if (dn === undefined) throw caseFault(place.line, "an entry of ldap needs a dn");
  return { dn: text(dn), attributes: textLists(fields.get("attributes"), "attributes", /./) };
}

function readExpectation(place: Place): Expectation {
  const strings = ["user", "reason", "client_reason", "printed", "error"] as const;
  const fields = mapping(place, "expect", ["status", "proplist", "proplist_save", "challenges", ...strings]);
  const expected: Record<string, unknown> = {};
  for (const key of strings) {
    const value = fields.get(key);
    if (value !== undefined) expected[key] = isNull(value) ? null : text(value);
  }
  for (const key of ["proplist", "proplist_save"]) {
    const value = fields.get(key);
    if (value === undefined) continue;
    const entries = [...mapping(value, key)].map(([name, one]) => [name, isNull(one) ? null : text(one)]);
    expected[key] = Object.fromEntries(entries);
  }
  const expectedStatus = fields.get("status");
  if (expectedStatus !== undefined) {
    if (!/^[01]$/.test(text(expectedStatus))) throw caseFault(expectedStatus.line, "status is 0 (admitted) or 1");
    expected.status = Number(text(expectedStatus));
  }
  const challenges = fields.get("challenges");
  if (challenges) expected.challenges = list(challenges, "challenges").map(text);
  return expected;
}

function settingsOf(place: Place): Record<string, unknown> {
  return Object.fromEntries([...mapping(place, "settings")].map(([name, value]) => [name, plain(value)]));
}

/** A value as YAML reads it. */
function plain(place: Place): unknown {
  if (place.kind === "scalar") return place.value;
  if (place.kind === "list") return place.items.map(plain);
  return Object.fromEntries([...place.entries].map(([name, value]) => [name, plain(value)]));
}

const isNull = (place: Place) => place.kind === "scalar" && place.value === null;

function optional<Value>(place: Place | undefined, read: (place: Place) => Value): Value | undefined {
  return place === undefined || isNull(place) ? undefined : read(place);
}

/** Without `keys`, any. */
function mapping(place: Place | undefined, what: string, keys?: readonly string[]): Map<string, Place> {
  if (place === undefined || isNull(place)) return new Map();
  if (place.kind !== "mapping") throw caseFault(place.line, `${what} must be a mapping of keys to values`);
  for (const [key, value] of place.entries) {
    if (keys && !keys.includes(key)) {
      throw caseFault(value.line, `${JSON.stringify(key)} is not known in ${what}; known are ${keys.join(", ")}`);
    }
  }
  return place.entries;
}

function list(place: Place | undefined, what: string): Place[] {
  if (place === undefined || isNull(place)) return [];
  if (place.kind !== "list") throw caseFault(place.line, `${what} must be a list`);
  return place.items;
}

/** Any scalar, as it is written. */
function text(place: Place): string {
  if (place.kind !== "scalar" || place.value === null) throw caseFault(place.line, "a text is expected here");
  return place.text;
}

function flag(place: Place): boolean {
  const written = text(place);
  if (written !== "true" && written !== "false") throw caseFault(place.line, "true or false is expected here");
  return written === "true";
}

function texts(place: Place | undefined, what: string): Record<string, string> {
  return Object.fromEntries([...mapping(place, what)].map(([key, value]) => [key, text(value)]));
}

/** Lists of texts by name; a single text stands for a list of one. */
function textLists(place: Place | undefined, what: string, names: RegExp): Record<string, string[]> {
  return Object.fromEntries(
    [...mapping(place, what)].map(([name, value]) => {
      if (!names.test(name)) throw caseFault(value.line, `${JSON.stringify(name)} cannot be a key of ${what}`);
      return [name, value.kind === "list" ? value.items.map(text) : [text(value)]];
    }),
  );
}
