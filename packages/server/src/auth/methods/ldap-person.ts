import { AndFilter, type Entry, EqualityFilter, ExtensibleFilter, type Filter, OrFilter, PresenceFilter } from "ldapts";
import { isRefusal, refusalOfPerson, told } from "./ldap-answers.ts";
import type { LdapConnection } from "./ldap-connection.ts";
import { remaining } from "./ldap-connections.ts";
import { escapeDnValue, parseFilter, sameName } from "./ldap-names.ts";
import { type LdapOptions, usernamePlaceholder } from "./ldap-options.ts";
import { CannotJudge, ServerUnreachable } from "./servers.ts";

/** Active Directory's LDAP_MATCHING_RULE_IN_CHAIN: follows memberships through groups within groups. */
const inChain = "1.2.840.113556.1.4.1941";

/** Somebody's entry, and the name as the directory writes it. */
export type Person = { dn: string; name: string };

type Terms = Pick<LdapOptions, "base" | "userAttribute" | "filter">;

/** Why somebody is not let in though the directory answered: their fault, not an outage. */
export type NotFound = { wrong: string };

/** Finds whom a name means. The name is only ever a value: a filter is built, not written. */
export async function findPerson(
  connection: LdapConnection,
  username: string,
  terms: Terms,
  deadline: number,
): Promise<Person | NotFound> {
  const named = new EqualityFilter({ attribute: terms.userAttribute, value: username });
  const look = (filter: Filter) =>
    readEntries(() => {
      const search = { base: terms.base, scope: "sub", filter, attributes: [terms.userAttribute], limit: 2 } as const;
      return connection.search({ ...search, attributes: [...search.attributes] }, remaining(deadline));
    }, `auth.ldap.0.users_base_dn ${terms.base}`);
  const entries = await look(terms.filter === undefined ? named : both(named, parseFilter(terms.filter)));
  const [entry, another] = entries;
  if (another) {
    throw new CannotJudge(`it has more than one entry with this ${terms.userAttribute} below ${terms.base}`);
  }
  if (entry) return personOf(entry, username, terms.userAttribute);
  if (terms.filter !== undefined && (await look(named)).length > 0) {
    return { wrong: "the entry does not match auth.ldap.0.add_req" };
  }
  return { wrong: "the directory has no such user" };
}

/** The DN that direct bind tries for a name. */
export function directDn(template: string, username: string): string {
  return template.replace(usernamePlaceholder, () => escapeDnValue(username));
}

/** Reads the entry of somebody who has just been bound on the connection. */
export async function readOwnEntry(
  connection: LdapConnection,
  username: string,
  dn: string,
  terms: Terms,
  deadline: number,
): Promise<Person | NotFound> {
  const look = (filter: Filter) =>
    readEntries(
      () =>
        connection.search(
          { base: dn, scope: "base", filter, attributes: [terms.userAttribute], limit: 1 },
          remaining(deadline),
        ),
      dn,
    );
  const present = new PresenceFilter({ attribute: "objectClass" });
  const [entry] = await look(terms.filter === undefined ? present : parseFilter(terms.filter));
  if (entry) return personOf(entry, username, terms.userAttribute);
  if (terms.filter !== undefined && (await look(present)).length > 0) {
    return { wrong: "the entry does not match auth.ldap.0.add_req" };
  }
  throw new CannotJudge(`it does not let ${dn} read its own entry`);
}

/** Whether the person is in the group: named by it or, nested, by a group within it. */
export async function isMember(
  connection: LdapConnection,
  person: Person,
  group: { dn: string; nested: boolean },
  deadline: number,
): Promise<boolean> {
  const equals = (attribute: string, value: string) => new EqualityFilter({ attribute, value });
  const [base, filter] = group.nested
    ? [person.dn, new ExtensibleFilter({ matchType: "memberOf", rule: inChain, value: group.dn })]
    : [
        group.dn,
        new OrFilter({
          filters: [equals("member", person.dn), equals("uniqueMember", person.dn), equals("memberUid", person.name)],
        }),
      ];
  const search = { base, scope: "base", filter, attributes: ["1.1"], limit: 1 } as const;
  const entries = await readEntries(
    () => connection.search({ ...search, attributes: [...search.attributes] }, remaining(deadline)),
    group.nested ? person.dn : `auth.ldap.0.required_group ${group.dn}`,
  );
  return entries.length > 0;
}

/** Binds as the person: undefined when the directory accepts the password, otherwise why it is the person's fault. */
export async function bindAs(
  connection: LdapConnection,
  dn: string,
  password: string,
  deadline: number,
): Promise<string | undefined> {
  try {
    await connection.bind(dn, password, remaining(deadline));
    return undefined;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const fault = refusalOfPerson(error);
    if (fault === undefined) throw new CannotJudge(`it would not check the password of ${dn}: ${told(error)}`);
    return fault;
  }
}

async function readEntries(search: () => Promise<Entry[]>, what: string): Promise<Entry[]> {
  try {
    return await search();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    if (error.code === 32) throw new ServerUnreachable(`does not have, or does not show, ${what}`);
    throw new ServerUnreachable(`would not search: ${told(error)}; is auth.ldap.0.bind_dn set and allowed to?`);
  }
}

function personOf(entry: Entry, username: string, attribute: string): Person {
  const key = Object.keys(entry).find((name) => name.toLowerCase() === attribute.toLowerCase());
  const values = [key === undefined ? [] : entry[key]].flat(2).filter((value) => typeof value === "string");
  const name = values.find((value) => sameName(value, username)) ?? (values.length === 1 ? values[0] : undefined);
  if (name === undefined) throw new CannotJudge(`it does not show the ${attribute} of ${entry.dn}`);
  return { dn: entry.dn, name };
}

const both = (one: Filter, other: Filter): Filter => new AndFilter({ filters: [one, other] });
