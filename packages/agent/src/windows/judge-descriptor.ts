import { wellKnown } from "./security-identifier.ts";

/**
 * What others must not be able to do with a file or directory. `reach`: anything at all. `change`: write to it, or to
 * what is made in it. `replace`: put another in the place of what is in it, though they may add things of their own.
 */
export type Forbidden = "reach" | "change" | "replace";

/** Rights as winnt.h numbers them; letters are those of SDDL ([MS-DTYP] 2.5.1.1). */
const rightsOfLetters: Readonly<Record<string, number>> = {
  GA: 0x10000000,
  GX: 0x20000000,
  GW: 0x40000000,
  GR: 0x80000000,
  // Of files.
  FA: 0x1f01ff,
  FR: 0x120089,
  FW: 0x120116,
  FX: 0x1200a0,
  // Of anything.
  RC: 0x20000,
  SD: 0x10000,
  WD: 0x40000,
  WO: 0x80000,
  // Of entries in a directory service; of a file, the bits of the same number.
  CC: 0x1,
  DC: 0x2,
  LC: 0x4,
  SW: 0x8,
  RP: 0x10,
  WP: 0x20,
  DT: 0x40,
  LO: 0x80,
  CR: 0x100,
};
const harm: Readonly<Record<Forbidden, number>> = {
  reach: 0xffffffff,
  // Write, append, attributes, delete (or what is in it), rights, owner, GENERIC_WRITE, GENERIC_ALL, MAXIMUM_ALLOWED.
  change: 0x520d0156,
  // Delete, or what is in it, rights, owner, GENERIC_ALL, MAXIMUM_ALLOWED: whoever may only write can add and no more.
  replace: 0x120d0040,
};
const aliases: Readonly<Record<string, string>> = {
  SY: wellKnown.system,
  BA: wellKnown.administrators,
  WD: "S-1-1-0",
  AU: "S-1-5-11",
  BU: "S-1-5-32-545",
  CO: "S-1-3-0",
  CG: "S-1-3-1",
  OW: "S-1-3-4",
  LS: "S-1-5-19",
  NS: "S-1-5-20",
  IU: "S-1-5-4",
  NU: "S-1-5-2",
  BG: "S-1-5-32-546",
  PU: "S-1-5-32-547",
  AN: "S-1-5-7",
  AC: "S-1-15-2-1",
};
const names: Readonly<Record<string, string>> = {
  "S-1-1-0": "everybody",
  "S-1-5-11": "whoever signed in",
  "S-1-5-32-545": "this machine's users",
};
/** Nobody has them in a token: what they stand for is filled in where something is made. */
const placeholders = ["S-1-3-0", "S-1-3-1"];
/** The owner's own rights, when they are not everything. */
const ownerRights = "S-1-3-4";

/**
 * Why somebody beside the accounts that are `believed` could do what is forbidden, by a security descriptor's text
 * (SDDL; owner and DACL); undefined where nobody can. What is not understood counts against it, and denials are not
 * counted in its favour.
 */
export function whoElse(sddl: string, believed: readonly string[], forbidden: Forbidden): string | undefined {
  const found = /^O:([A-Z]{2}|S-[-\d]+)(?:G:(?:[A-Z]{2}|S-[-\d]+))?D:([A-Z_]*)((?:\([^()]*\))*)$/.exec(sddl);
  if (found === null) return "it has no owner, or no list of who may what";
  const [, owner = "", flags = "", entries = ""] = found;
  const isBelieved = (sid: string) => believed.some((one) => sameAccount(sid, one));
  if (!isBelieved(owner)) return `it belongs to ${nameOf(owner)}`;
  if (!/^P?(AR)?(AI)?$/.test(flags)) return "everybody may do everything with it";
  for (const [, entry = ""] of entries.matchAll(/\(([^()]*)\)/g)) {
    const [type = "", inheritance = "", rights = "", object, inheritedObject, sid = ""] = entry.split(";");
    if (type === "D") continue;
    if (type !== "A" || object !== "" || inheritedObject !== "") return "one of its entries is not understood";
    const who = aliases[sid] ?? sid;
    // What is inside is not what is asked about, where things may be added.
    const onlyInside = /^(..)*IO/.test(inheritance);
    if ((onlyInside && forbidden === "replace") || placeholders.includes(who) || who === ownerRights) continue;
    // An app's container, or what it may use, opens nothing to those whom the other entries do not let in.
    if (isBelieved(who) || who.startsWith("S-1-15-")) continue;
    const mask = maskOf(rights);
    if (mask === undefined) return "one of its entries is not understood";
    if ((mask & harm[forbidden]) !== 0) return `${nameOf(who)} may ${verbs[forbidden]}`;
  }
  return undefined;
}

const verbs: Readonly<Record<Forbidden, string>> = {
  reach: "reach it",
  change: "write to it",
  replace: "replace what is in it",
};

function nameOf(sid: string): string {
  const full = aliases[sid] ?? sid;
  return names[full] ?? full;
}

function sameAccount(one: string, other: string): boolean {
  // The account that every machine has for its administrator: its text does not say of which machine.
  return (aliases[one] ?? one) === other || (one === "LA" && /^S-1-5-21-.*-500$/.test(other));
}

function maskOf(rights: string): number | undefined {
  if (/^0x[0-9a-f]{1,8}$/i.test(rights)) return Number(rights);
  if (!/^([A-Z]{2})*$/.test(rights)) return undefined;
  let mask = 0;
  for (const letters of rights.match(/../g) ?? []) {
    const right = rightsOfLetters[letters];
    if (right === undefined) return undefined;
    mask |= right;
  }
  return mask;
}
