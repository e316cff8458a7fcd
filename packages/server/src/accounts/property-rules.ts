import { isAccessRuleKey, parseAccessRule } from "../core/access-rule.ts";
import { parseAddress, parseRange } from "../core/address-range.ts";
import { SallyportError } from "../core/errors.ts";
import { subnetPosition } from "./lookup.ts";

const longestKeyBytes = 256;
const longestValueBytes = 256 * 1024;

/**
 * Whether a text may name a property: any printable word, since scripts name their own (`pvt_…`). Not the one word
 * that JavaScript objects treat as something else.
 */
export function checkPropertyKey(key: string): void {
  const fits = Buffer.byteLength(key) <= longestKeyBytes && key.isWellFormed() && /^[^\p{C}\p{Z}]+$/u.test(key);
  if (!fits || key === "__proto__")
    throw new SallyportError(
      "invalid-input",
      `a property's name is a word of at most ${longestKeyBytes} bytes without spaces; got ${shown(key)}`,
    );
}

/** Whether a property can have a value, as far as that can be told without looking at others. */
export function checkPropertyValue(key: string, value: string): void {
  if (Buffer.byteLength(value) > longestValueBytes)
    throw new SallyportError("invalid-input", `${key} may hold at most ${longestValueBytes} bytes`);
  if (!value.isWellFormed() || value.includes("\0"))
    throw new SallyportError("invalid-input", `${key} must be valid UTF-8 without NUL bytes`);
  const rule = ruleOf(key);
  if (rule && !rule.allows(value))
    throw new SallyportError("invalid-input", `${key} must be ${rule.expected}; got ${shown(value)}`);
}

function ruleOf(key: string): Rule | undefined {
  if (subnetPosition(key) !== undefined) return subnet;
  return isAccessRuleKey(key) ? access : rules.get(key);
}

type Rule = { expected: string; allows: (value: string) => boolean };

const truth: Rule = { expected: "true or false", allows: (value) => value === "true" || value === "false" };
const seconds: Rule = { expected: "a number of seconds", allows: (value) => /^\d{1,9}$/.test(value) };

/** A subnet has room for the gateway and one client. */
const subnet: Rule = {
  expected: "a subnet such as 10.50.0.0/24 with room for a client",
  allows: (value) => {
    const range = parseRange(value);
    return range !== undefined && range.prefixLength <= (range.family === 4 ? 30 : 126);
  },
};

/** One that cannot be read lets nothing through, and is noticed only by whom it keeps out. */
const access: Rule = {
  expected:
    "a network (+ROUTE:, +NAT: or +SUBNET: before it, services behind a colon), +GROUP:NAME, +USER:NAME or +ALL_VPN_CLIENTS",
  allows: (value) => parseAccessRule(value) !== undefined,
};

/** Known properties whose wrong value would be found out only when somebody cannot get in. */
const rules = new Map<string, Rule>(
  Object.entries({
    conn_ip: { expected: "an address", allows: (value) => parseAddress(value) !== undefined },
    prop_superuser: truth,
    prop_autogenerate: truth,
    prop_autologin: truth,
    prop_deny: truth,
    prop_deny_web: truth,
    prop_lzo: truth,
    prop_google_auth: truth,
    prop_expire_halt: truth,
    group_declare: truth,
    prop_expire: seconds,
    prop_reroute_gw_override: {
      expected: "disable, dns_only or global",
      allows: (value) => ["disable", "dns_only", "global"].includes(value),
    },
  }),
);

export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}
