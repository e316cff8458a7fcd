import { parseAddress } from "../../core/address-range.ts";
import type { ClientCertificate } from "../../core/credentials.ts";
import { Secret } from "../../core/secret.ts";
import type { AccessRequest, Tunnel } from "../../core/vpn-event.ts";
import { protocolFlags } from "./commands.ts";
import type { ClientEvent } from "./messages.ts";

/** What a client said it understands (`IV_PROTO`). */
export type ClientAbilities = {
  authPendingKeyword: boolean;
  temporaryRefusal: boolean;
  /** `CR_TEXT`, by `IV_SSO`. */
  textQuestions: boolean;
  /** `WEB_AUTH`, by `IV_SSO`. */
  webQuestions: boolean;
};

export const noAbilities: ClientAbilities = {
  authPendingKeyword: false,
  temporaryRefusal: false,
  textQuestions: false,
  webQuestions: false,
};

const mostAnswerCharacters = 4_096;

/** BOMs stay: names are passed on unchanged. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const tolerantUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * The question a CONNECT or REAUTH puts. `malformed` says what cannot be believed: a name or password that is no UTF-8
 * or holds a NUL, a certificate's name likewise, or an environment that came incomplete. The driver refuses those itself.
 */
export function readRequest(
  kind: AccessRequest["kind"],
  tunnel: Tunnel,
  event: ClientEvent,
): { request: AccessRequest } | { malformed: string } {
  const { environment } = event;
  if (event.damaged) return { malformed: "OpenVPN sent more about the client than is accepted" };
  const texts: Partial<Record<"username" | "password" | "common_name" | "X509_0_CN", string>> = {};
  for (const name of ["username", "password", "common_name", "X509_0_CN"] as const) {
    const raw = environment.get(name);
    if (raw === undefined || raw.length === 0) continue;
    const text = decode(raw);
    if (text === undefined) return { malformed: `${name} is no valid UTF-8, or holds a NUL byte` };
    texts[name] = text;
  }
  const clientAddress = parseAddress(asText(environment, "untrusted_ip6") ?? asText(environment, "untrusted_ip") ?? "");
  if (clientAddress === undefined) return { malformed: "OpenVPN did not say where the client comes from" };
  const port = Number(asText(environment, "untrusted_port"));
  const { username, password } = texts;
  const clientInfo = pick(environment, /^[IU]V_/);
  return {
    request: {
      kind,
      tunnel,
      protocol: "openvpn",
      username,
      // Without any credentials OpenVPN sends both as empty.
      password: password === undefined && username === undefined ? undefined : new Secret(password ?? ""),
      certificate: certificateOf(texts.X509_0_CN ?? texts.common_name, environment),
      clientAddress,
      clientPort: Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined,
      // openvpn alone sets IV_HWADDR, and has none without a default route; an agent says its own then.
      hardwareAddress: clientInfo.IV_HWADDR ?? clientInfo.UV_HWADDR,
      clientInfo,
      ...sessionOf(environment),
      certificateFields: { ...fingerprints(environment), ...pick(environment, /^(X509_\d+_|tls_serial_\d+$)/) },
    },
  };
}

/** `X509_<depth>_SHA1` as OpenVPN's own `x509-track SHA1` writes it: without that option it sends the digest in lower case. */
function fingerprints(environment: ReadonlyMap<string, Buffer>): Record<string, string> {
  const digests = Object.entries(pick(environment, /^tls_digest_\d+$/));
  return Object.fromEntries(
    digests.map(([name, digest]) => [`${name.replace("tls_digest", "X509")}_SHA1`, digest.toUpperCase()]),
  );
}

export function readAbilities(event: ClientEvent): ClientAbilities {
  const protocol = Number(asText(event.environment, "IV_PROTO"));
  const signOn = (asText(event.environment, "IV_SSO") ?? "").split(",");
  const has = (flag: number) => Number.isSafeInteger(protocol) && (protocol & flag) !== 0;
  return {
    authPendingKeyword: has(protocolFlags.authPendingKeyword),
    temporaryRefusal: has(protocolFlags.authFailTemporary),
    textQuestions: signOn.includes("crtext"),
    webQuestions: signOn.includes("webauth"),
  };
}

/** The common name as OpenVPN itself uses it. */
export function readCommonName(event: ClientEvent): string {
  return asText(event.environment, "common_name") ?? "";
}

/** What somebody answered to a `CR_TEXT` question; undefined where it is no base64 of UTF-8 text. */
export function readAnswer(event: ClientEvent): string | undefined {
  const text = event.rest ?? "";
  if (event.damaged || text.length > mostAnswerCharacters || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return decode(Buffer.from(text, "base64"));
}

/** Byte counts of a DISCONNECT; undefined where it has none (the client was never in). */
export function readCounts(event: ClientEvent): { bytesIn: number; bytesOut: number } | undefined {
  const bytesIn = asText(event.environment, "bytes_received");
  const bytesOut = asText(event.environment, "bytes_sent");
  if (!/^\d{1,20}$/.test(bytesIn ?? "") || !/^\d{1,20}$/.test(bytesOut ?? "")) return undefined;
  return { bytesIn: Number(bytesIn), bytesOut: Number(bytesOut) };
}

function decode(raw: Buffer): string | undefined {
  if (raw.includes(0)) return undefined;
  try {
    return strictUtf8.decode(raw);
  } catch {
    return undefined;
  }
}

function asText(environment: ReadonlyMap<string, Buffer>, name: string): string | undefined {
  const raw = environment.get(name);
  return raw === undefined ? undefined : tolerantUtf8.decode(raw);
}

/** Software and hardware descriptions: what is no UTF-8 in them is replaced, nobody is recognised by them alone. */
function pick(environment: ReadonlyMap<string, Buffer>, names: RegExp): Record<string, string> {
  const picked: [string, string][] = [];
  for (const [name, raw] of environment) if (names.test(name)) picked.push([name, tolerantUtf8.decode(raw)]);
  return Object.fromEntries(picked);
}

const sessionStates: Record<string, NonNullable<AccessRequest["session"]>["state"]> = {
  Initial: "initial",
  Authenticated: "authenticated",
  Expired: "expired",
};

/** Of `auth-gen-token`: which session the token belongs to, and what OpenVPN thinks of it. */
function sessionOf(environment: ReadonlyMap<string, Buffer>): Pick<AccessRequest, "session"> {
  const id = asText(environment, "session_id");
  const state = asText(environment, "session_state");
  if (id === undefined || id === "" || state === undefined) return {};
  return { session: { id, state: sessionStates[state] ?? "invalid" } };
}

function certificateOf(
  commonName: string | undefined,
  environment: ReadonlyMap<string, Buffer>,
): ClientCertificate | undefined {
  const serial = asText(environment, "tls_serial_0");
  if (commonName === undefined || serial === undefined || !/^\d{1,60}$/.test(serial)) return undefined;
  return { commonName, serial: BigInt(serial).toString(16) };
}
