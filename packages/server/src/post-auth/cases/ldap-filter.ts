import type { DirectoryEntry } from "../../core/directory-search.ts";

/** An LDAP search filter (RFC 4515). */
export type Filter =
  | { op: "and" | "or"; filters: Filter[] }
  | { op: "not"; filter: Filter }
  | { op: "present"; attribute: string }
  | { op: "=" | ">=" | "<=" | "~="; attribute: string; value: string }
  /** The parts between the asterisks; the first and last may be empty. */
  | { op: "substrings"; attribute: string; parts: string[] }
  | { op: "extensible"; attribute: string; rule: string; value: string };

const deepest = 50;
/** Active Directory's: the value is reached through a chain of memberships. */
const inChain = "1.2.840.113556.1.4.1941";

/** Throws an Error that says where the text is no filter, as a server's refusal would. */
export function parseFilter(text: string): Filter {
  let at = 0;
  const wrong = (expected: string) =>
    new Error(`bad search filter: ${expected} expected at character ${at + 1} of ${text}`);
  const take = (expected: string) => {
    if (text[at] !== expected) throw wrong(`"${expected}"`);
    at += 1;
  };

  const parse = (depth: number): Filter => {
    if (depth > deepest) throw wrong("a filter less deep");
    take("(");
    const operator = text[at] ?? "";
    let filter: Filter;
    if (operator === "&" || operator === "|") {
      at += 1;
      const filters: Filter[] = [];
      while (text[at] === "(") filters.push(parse(depth + 1));
      filter = { op: operator === "&" ? "and" : "or", filters };
    } else if (operator === "!") {
      at += 1;
      filter = { op: "not", filter: parse(depth + 1) };
    } else filter = parseItem();
    take(")");
    return filter;
  };

  const parseItem = (): Filter => {
    const item = /^([\w.;-]*)(?::(dn:)?([\w.-]+)?:?)?(=|>=|<=|~=|:=)/.exec(text.slice(at));
    const [whole = "", attribute = "", , rule = "", sign = ""] = item ?? [];
    if (item === null || (attribute === "" && rule === "")) throw wrong("an attribute and a comparison");
    at += whole.length;
    const end = at + text.slice(at).search(/[()]|$/);
    const raw = text.slice(at, end);
    at = end;
    if (raw.includes("\\") && !/^(?:[^\\]|\\[0-9a-fA-F]{2})*$/.test(raw))
      throw wrong("two hexadecimal digits after \\");
    if (whole.includes(":")) return { op: "extensible", attribute, rule, value: unescaped(raw) };
    if (sign === "=" && raw === "*") return { op: "present", attribute };
    if (sign === "=" && raw.includes("*")) {
      return { op: "substrings", attribute, parts: raw.split("*").map(unescaped) };
    }
    return { op: sign as "=", attribute, value: unescaped(raw) };
  };

  text = text.trim().startsWith("(") ? text.trim() : `(${text.trim()})`;
  const filter = parse(0);
  if (at !== text.length) throw wrong("the end");
  return filter;
}

function unescaped(value: string): string {
  const bytes: Buffer[] = [];
  for (const [, plain, hex] of value.matchAll(/([^\\]+)|\\([0-9a-fA-F]{2})/g)) {
    bytes.push(plain === undefined ? Buffer.from(hex ?? "", "hex") : Buffer.from(plain));
  }
  return Buffer.concat(bytes).toString("utf8");
}

/** Values are compared as most attributes' rules do: without regard to case, outer and repeated spaces. */
export function matches(filter: Filter, entry: DirectoryEntry, all: readonly DirectoryEntry[]): boolean {
  switch (filter.op) {
    case "and":
      return filter.filters.every((one) => matches(one, entry, all));
    case "or":
      return filter.filters.some((one) => matches(one, entry, all));
    case "not":
      return !matches(filter.filter, entry, all);
    case "present":
      return filter.attribute.toLowerCase() === "objectclass" || valuesOf(entry, filter.attribute).length > 0;
    case "substrings":
      return valuesOf(entry, filter.attribute).some((value) => hasParts(normal(value), filter.parts));
    case "extensible":
      return matchesRule(filter, entry, all);
    default: {
      const { op, value: wanted } = filter;
      return valuesOf(entry, filter.attribute).some((value) => compares(op, value, wanted));
    }
  }
}

function compares(op: "=" | ">=" | "<=" | "~=", value: string, wanted: string): boolean {
  const [left, right] = [normal(value), normal(wanted)];
  if (op === "=" || op === "~=") return left === right || normalDn(value) === normalDn(wanted);
  const order =
    /^-?\d+$/.test(left) && /^-?\d+$/.test(right) ? Number(left) - Number(right) : left.localeCompare(right);
  return op === ">=" ? order >= 0 : order <= 0;
}

function matchesRule(
  { attribute, rule, value }: Extract<Filter, { op: "extensible" }>,
  entry: DirectoryEntry,
  all: readonly DirectoryEntry[],
): boolean {
  const values = valuesOf(entry, attribute);
  if (values.some((one) => compares("=", one, value))) return true;
  if (rule !== inChain) return false;
  const seen = new Set<string>();
  const reached = [...values];
  for (let dn = reached.pop(); dn !== undefined; dn = reached.pop()) {
    if (normalDn(dn) === normalDn(value)) return true;
    if (seen.has(normalDn(dn))) continue;
    seen.add(normalDn(dn));
    const next = all.find((one) => normalDn(one.dn) === normalDn(dn));
    if (next) reached.push(...valuesOf(next, attribute));
  }
  return false;
}

function valuesOf(entry: DirectoryEntry, attribute: string): readonly string[] {
  const wanted = attribute.toLowerCase();
  const found = Object.entries(entry.attributes).find(([name]) => name.toLowerCase() === wanted);
  return found?.[1] ?? [];
}

/** Distinguished names are compared without regard to case and to spaces around commas and equal signs. */
export function normalDn(dn: string): string {
  return dn
    .trim()
    .toLowerCase()
    .replaceAll(/\s*(?<!\\)([,=])\s*/g, "$1");
}

function normal(value: string): string {
  return value.trim().replaceAll(/\s+/g, " ").toLowerCase();
}

function hasParts(value: string, parts: readonly string[]): boolean {
  const wanted = parts.map((part) => part.toLowerCase());
  const [first = "", ...rest] = wanted;
  const last = rest.pop() ?? "";
  if (!value.startsWith(first) || !value.endsWith(last) || value.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = value.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= value.length - last.length;
}
