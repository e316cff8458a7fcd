import { checkPropertyKey, checkPropertyValue } from "../../accounts/property-rules.ts";
import { parseRange } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Properties, PropertyOwner } from "../../core/properties.ts";
import { whyNoUserName } from "../../core/user-name.ts";
import { defaultName, sha256Of } from "./property-records.ts";
import type { Dump } from "./read-dump.ts";
import { settingReason } from "./settings-here.ts";

/** What the server has now, as far as an import must know it. */
export type Present = {
  /** Whether the account has a password. */
  users: ReadonlyMap<string, boolean>;
  groups: ReadonlySet<string>;
  properties(owner: PropertyOwner): Properties;
  settings: Readonly<Record<string, string>>;
  /** The live text of the script behind `auth.module.post_auth_script`. */
  script: string | undefined;
};

export type Ignored = { name: string; key: string | null; reason: string };

/** What an import would do. Everything in it has been checked. */
export type ImportPlan = {
  groups: string[];
  users: string[];
  properties: { owner: PropertyOwner; values: Properties; before: Properties }[];
  /** SHA-256, for accounts without a password. */
  passwords: { user: string; sha256: string }[];
  settings: { key: string; value: string; before: string | null }[];
  script: string | null;
  unchanged: number;
  ignored: Ignored[];
};

type Kind = PropertyOwner["kind"];

/** Said of the record itself here, not by properties. */
const structural: readonly string[] = ["type", "group_declare", "def_deny", "pvt_password_digest"];
export const scriptKey = "auth.module.post_auth_script";
const mostFaults = 20;

/** Throws `invalid-input` with everything that stands in the way: then nothing is written. */
export function planImport(dump: Dump, present: Present): ImportPlan {
  const faults: string[] = [];
  const kinds = new Map([...dump.records].map(([name, record]) => [name, kindOf(name, record)]));
  const plan: ImportPlan = {
    groups: [],
    users: [],
    properties: [],
    passwords: [],
    settings: [],
    script: null,
    unchanged: 0,
    ignored: [],
  };
  const groups = new Set([...present.groups, ...namesOf(kinds, "group")]);
  const onlyListed = dump.records.get(defaultName)?.def_deny === "true";

  for (const [name, record] of dump.records) {
    const kind = kinds.get(name) ?? "user";
    const fault = nameFault(name, kind, present);
    if (fault !== null) faults.push(fault);
    const owner: PropertyOwner = kind === "default" ? { kind } : { kind, name };
    if (kind === "group") count(plan, plan.groups, name, present.groups.has(name));
    if (kind === "user") {
      count(plan, plan.users, name, present.users.has(name));
      planPassword(plan, name, record, present);
    }
    const wanted = kept(plan, name, kind, record, faults);
    if (onlyListed && kind === "default") wanted.prop_deny = "true";
    if (onlyListed && kind === "user") wanted.prop_deny ??= inheritedDeny(record, dump);
    const group = wanted.conn_group;
    if (group !== undefined && !groups.has(group)) {
      faults.push(`${name}: conn_group names ${group}, which is no group of the import or of this server`);
    }
    planProperties(plan, owner, wanted, present.properties(owner));
  }
  faults.push(...overlaps(dump, kinds, present));
  for (const [key, value] of dump.settings) planSetting(plan, key, value, present);

  if (faults.length > 0) {
    const more = faults.length > mostFaults ? `; and ${faults.length - mostFaults} more` : "";
    throw new SallyportError("invalid-input", `nothing was changed: ${faults.slice(0, mostFaults).join("; ")}${more}`);
  }
  return plan;
}

function kindOf(name: string, record: Properties): Kind {
  if (name === defaultName) return "default";
  return record.type === "group" || record.group_declare === "true" ? "group" : "user";
}

function namesOf(kinds: ReadonlyMap<string, Kind>, kind: Kind): string[] {
  return [...kinds].filter(([, of]) => of === kind).map(([name]) => name);
}

function nameFault(name: string, kind: Kind, present: Present): string | null {
  if (kind === "default") return null;
  const wrongName = whyNoUserName(name);
  if (wrongName !== undefined) return `${JSON.stringify(name.slice(0, 80))} cannot name a ${kind} here: ${wrongName}`;
  if (kind === "user" && present.groups.has(name)) return `${name} is a user there and a group here`;
  if (kind === "group" && present.users.has(name)) return `${name} is a group there and a user here`;
  return null;
}

function count(plan: ImportPlan, into: string[], name: string, isThere: boolean): void {
  if (isThere) plan.unchanged += 1;
  else into.push(name);
}

/** The record's properties as they are kept here. */
function kept(
  plan: ImportPlan,
  name: string,
  kind: Kind,
  record: Properties,
  faults: string[],
): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries(record)) {
    if (structural.includes(key) && !(key === "type" && kind === "user")) continue;
    if (value === "") plan.ignored.push({ name, key, reason: "it is empty" });
    else if (isMasked(key, value)) plan.ignored.push({ name, key, reason: "the value is masked" });
    else {
      try {
        checkPropertyKey(key);
        checkPropertyValue(key, value);
        if (key.startsWith("group_subnets.") && kind !== "group") throw new Error("group_subnets belong to a group");
        values[key] = value;
      } catch (error) {
        faults.push(`${name}: ${(error as Error).message}`);
      }
    }
  }
  return values;
}

function isMasked(key: string, value: string): boolean {
  return key === "pvt_google_auth_secret" && !/^[A-Z2-7]+=*$/i.test(value);
}

function planPassword(plan: ImportPlan, user: string, record: Properties, present: Present): void {
  const digest = record.pvt_password_digest;
  if (digest === undefined) return;
  const ignore = (reason: string) => plan.ignored.push({ name: user, key: "pvt_password_digest", reason });
  if (present.users.get(user) === true) return void ignore("the account has a password here, which stays");
  try {
    plan.passwords.push({ user, sha256: sha256Of(digest).reveal() });
  } catch {
    ignore(`the digest is not a SHA-256: the user needs a new password (\`sallyport user password ${user}\`)`);
  }
}

/** With `def_deny`, whoever has a record is let in, unless a rule of theirs says otherwise. */
function inheritedDeny(record: Properties, dump: Dump): string {
  const group = record.conn_group === undefined ? undefined : dump.records.get(record.conn_group);
  return group?.prop_deny ?? "false";
}

function planProperties(plan: ImportPlan, owner: PropertyOwner, wanted: Properties, present: Properties): void {
  const differing = Object.entries(wanted).filter(([key, value]) => present[key] !== value);
  plan.unchanged += Object.keys(wanted).length - differing.length;
  if (differing.length === 0) return;
  const before = differing.flatMap(([key]) => (present[key] === undefined ? [] : [[key, present[key]] as const]));
  plan.properties.push({ owner, values: Object.fromEntries(differing), before: Object.fromEntries(before) });
}

function planSetting(plan: ImportPlan, key: string, value: string, present: Present): void {
  if (key === scriptKey) {
    if (value.trim() === "") plan.ignored.push({ name: key, key: null, reason: "it is empty" });
    else if (present.script === value) plan.unchanged += 1;
    else plan.script = value;
    return;
  }
  const reason = value === "[secret]" ? "the value is masked" : settingReason(key);
  if (reason !== null) plan.ignored.push({ name: key, key: null, reason });
  else if (present.settings[key] === value) plan.unchanged += 1;
  else plan.settings.push({ key, value, before: present.settings[key] ?? null });
}

/** Subnets of groups as they would be afterwards: no address may belong to two groups. */
function overlaps(dump: Dump, kinds: ReadonlyMap<string, Kind>, present: Present): string[] {
  const names = [...new Set([...present.groups, ...namesOf(kinds, "group")])];
  const subnets = names.flatMap((name) => {
    const imported = kinds.get(name) === "group" ? dump.records.get(name) : undefined;
    const all = { ...present.properties({ kind: "group", name }), ...imported };
    return Object.entries(all).flatMap(([key, value]) => {
      const range = /^group_subnets\.\d+$/.test(key) ? parseRange(value) : undefined;
      return range === undefined ? [] : [{ name, range }];
    });
  });
  return subnets.flatMap((one, i) =>
    subnets
      .slice(i + 1)
      .filter(({ name, range }) => name !== one.name && range.family === one.range.family)
      .filter(({ range }) => range.first <= one.range.last && one.range.first <= range.last)
      .map(({ name, range }) => `${one.range.cidr} of the group ${one.name} overlaps ${range.cidr} of ${name}`),
  );
}
