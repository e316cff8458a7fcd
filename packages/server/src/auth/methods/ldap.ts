import type { Log } from "../../core/log.ts";
import { whyNoUserName } from "../../core/user-name.ts";
import { createLdapConnect } from "./ldap-connection.ts";
import { createLdapConnections, type LdapConnections } from "./ldap-connections.ts";
import type { LdapOptions, LdapServer } from "./ldap-options.ts";
import { bindAs, directDn, findPerson, isMember, type NotFound, type Person, readOwnEntry } from "./ldap-person.ts";
import { createLdapSearch } from "./ldap-search.ts";
import type { Login, Method, MethodDirectory, MethodResult } from "./method.ts";
import { CannotJudge, createServers, ServerUnreachable } from "./servers.ts";
import { createWaitingBound } from "./waiting.ts";

/** Scripts' searches: at once, and entries each may find. */
const maxSearches = 64;
const maxEntries = 1000;

/**
 * An LDAP directory: the entry is searched (or its DN known from a template) and bound with the password. The name
 * that counts from then on is the directory's own, so that `ALICE` and `alice` are one user here as they are there.
 */
export function ldapMethod(options: LdapOptions, log: Log): Method & { directory: MethodDirectory } {
  const { servers, timeoutMs } = options;
  const asked = createServers({
    servers,
    onChange: (server, up, reason) => {
      const facts = { method: "ldap", server: server.name };
      if (up) log.info(facts, "the directory server answers again");
      else log.warn(facts, `the directory server ${reason}; others are asked first for a while`);
    },
  });
  const connect = createLdapConnect(options);
  const connected = new Map(
    servers.map((server) => [
      server,
      createLdapConnections({ server, connect, bind: options.bind, maxConnections: options.maxConnections }),
    ]),
  );
  const connections = (server: LdapServer) => connected.get(server) as LdapConnections;
  const bound = createWaitingBound(options.maxWaiting);
  const directory: MethodDirectory = {
    search: createLdapSearch({
      servers: asked,
      connections,
      timeoutMs,
      bound: createWaitingBound(maxSearches),
      maxEntries,
    }),
    uname_attr: options.userAttribute,
  };

  const accept = (person: Person): MethodResult => {
    const wrongName = whyNoUserName(person.name);
    if (wrongName !== undefined) {
      const named = JSON.stringify(person.name.slice(0, 100));
      return wrong(`the directory's name ${named} cannot name a user here: ${wrongName}`);
    }
    const info = { user_dn: person.dn, search_base: options.base };
    return { outcome: "accepted", userId: person.name, reason: "ldap auth succeeded", info, directory };
  };
  const judge = (person: Person, username: string): NotFound | undefined =>
    options.caseSensitive && person.name !== username
      ? { wrong: `the directory writes this name ${person.name}, and auth.ldap.0.case_sensitive is true` }
      : undefined;
  const group = options.requiredGroup && { dn: options.requiredGroup, nested: options.nestedGroups };
  const outsideGroup = wrong(`not a member of auth.ldap.0.required_group ${options.requiredGroup}`);

  const searchAndBind = async (server: LdapServer, { username, password }: Login): Promise<MethodResult> => {
    const deadline = performance.now() + timeoutMs;
    const { forLogins, forPerson } = connections(server);
    const found = await forLogins(deadline, (connection) => findPerson(connection, username, options, deadline));
    const fault = "wrong" in found ? found : judge(found, username);
    if (fault || "wrong" in found) return wrong(fault?.wrong ?? "");
    const refusal = await forPerson(deadline, (c) => bindAs(c, found.dn, password.reveal(), deadline));
    if (refusal !== undefined) return wrong(refusal);
    if (group && !(await forLogins(deadline, (c) => isMember(c, found, group, deadline)))) return outsideGroup;
    return accept(found);
  };

  const bindDirectly = (template: string, server: LdapServer, { username, password }: Login): Promise<MethodResult> => {
    const deadline = performance.now() + timeoutMs;
    return connections(server).forPerson(deadline, async (connection) => {
      const dn = directDn(template, username);
      const refusal = await bindAs(connection, dn, password.reveal(), deadline);
      if (refusal !== undefined) return wrong(refusal);
      const found = await readOwnEntry(connection, username, dn, options, deadline);
      const fault = "wrong" in found ? found : judge(found, username);
      if (fault || "wrong" in found) return wrong(fault?.wrong ?? "");
      if (group && !(await isMember(connection, found, group, deadline))) return outsideGroup;
      return accept(found);
    });
  };

  const { userDn } = options;
  const attempt =
    userDn === undefined ? searchAndBind : (server: LdapServer, login: Login) => bindDirectly(userDn, server, login);

  return {
    name: "ldap",
    deadlineMs: timeoutMs * servers.length,
    directory,
    async check(login) {
      // A directory takes a bind without a password for an anonymous one, and says yes.
      if (login.password.reveal() === "") return wrong("an empty password is never accepted");
      try {
        const result = bound.run(() => asked.ask((server) => attempt(server, login)));
        if (result !== undefined) return await result;
        return unreachable(`${bound.limit} sign-ins already wait for the directory (auth.ldap.0.max_waiting)`);
      } catch (error) {
        if (error instanceof ServerUnreachable) return unreachable(`no directory server answered: ${error.message}`);
        if (error instanceof CannotJudge) return unreachable(`the directory cannot tell: ${error.message}`);
        throw error;
      }
    },
    async close() {
      for (const one of connected.values()) one.close();
    },
  };
}

const wrong = (why: string): MethodResult => ({ outcome: "wrong", reason: `ldap auth failed: ${why}` });
const unreachable = (why: string): MethodResult => ({ outcome: "unreachable", reason: `ldap auth: ${why}` });
