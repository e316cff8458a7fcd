import type { Entry } from "ldapts";
import type { DirectoryEntry, DirectorySearch } from "../../core/directory-search.ts";
import { SallyportError } from "../../core/errors.ts";
import { isRefusal, told } from "./ldap-answers.ts";
import { type LdapConnections, remaining } from "./ldap-connections.ts";
import { parseFilter } from "./ldap-names.ts";
import type { LdapServer } from "./ldap-options.ts";
import { type Servers, ServerUnreachable } from "./servers.ts";
import type { WaitingBound } from "./waiting.ts";

const pageSize = 200;

/**
 * Searches as the service account, for scripts. Bounded in entries, time and how many search at once; rejects with
 * `invalid-input` for a query that cannot be answered as it is, `too-busy`, or `method-unreachable`.
 * As in ldap3, no attributes are read unless some are named (`*`: all), and a base that is not there finds nothing.
 */
export function createLdapSearch(options: {
  servers: Servers<LdapServer>;
  connections: (server: LdapServer) => LdapConnections;
  timeoutMs: number;
  bound: WaitingBound;
  maxEntries: number;
}): DirectorySearch {
  const { servers, connections, timeoutMs, bound, maxEntries } = options;
  return async ({ base, filter, attributes, scope = "sub" }) => {
    const search = {
      base,
      scope,
      filter: readFilter(filter),
      attributes: attributes.length === 0 ? ["1.1"] : [...attributes],
      limit: maxEntries + 1,
    };
    const found = bound.run(() =>
      servers.ask((server) => {
        const deadline = performance.now() + timeoutMs;
        return connections(server).forScripts(deadline, (connection) =>
          scope === "base"
            ? connection.search(search, remaining(deadline))
            : connection.searchPaged(search, pageSize, remaining(deadline)),
        );
      }),
    );
    if (found === undefined) {
      throw new SallyportError("too-busy", `${bound.limit} directory searches of scripts are already under way`);
    }
    try {
      const entries = await found;
      if (entries.length > maxEntries) {
        throw new SallyportError("invalid-input", `the search finds over ${maxEntries} entries; narrow its filter`);
      }
      return entries.map(entryOf);
    } catch (error) {
      if (error instanceof ServerUnreachable) {
        throw new SallyportError("method-unreachable", `no directory server answered: ${error.message}`);
      }
      if (!isRefusal(error)) throw error;
      if (error.code === 32) return [];
      throw new SallyportError("invalid-input", `the directory refuses the search: ${told(error)}`);
    }
  };
}

function readFilter(filter: string) {
  try {
    return parseFilter(filter);
  } catch (error) {
    const shown = JSON.stringify(filter.slice(0, 200).toWellFormed());
    throw new SallyportError("invalid-input", `${shown} is not an LDAP filter: ${(error as Error).message}`);
  }
}

/** The library gives one value alone, and puts in names that were asked for and are not there. */
function entryOf(entry: Entry): DirectoryEntry {
  const attributes: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(entry)) {
    if (name === "dn") continue;
    const values = [value].flat().map((one) => (typeof one === "string" ? one : textOf(name, one)));
    if (values.length > 0) attributes[name] = values;
  }
  return { dn: entry.dn, attributes };
}

/** Binary values as ldap3 shows them where it knows the attribute, otherwise as text if they are that, or base64. */
function textOf(name: string, value: Buffer): string {
  if (name.toLowerCase() === "objectguid" && value.length === 16) return guid(value);
  if (name.toLowerCase() === "objectsid" && value.length >= 8) return sid(value) ?? value.toString("base64");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(value);
  } catch {
    return value.toString("base64");
  }
}

/** Microsoft's order: the first three fields little-endian (MS-DTYP 2.3.4). */
function guid(value: Buffer): string {
  const hex = (bytes: Buffer) => bytes.toString("hex");
  const little = (from: number, to: number) => hex(Buffer.from(value.subarray(from, to)).reverse());
  const parts = [little(0, 4), little(4, 6), little(6, 8), hex(value.subarray(8, 10)), hex(value.subarray(10))];
  return `{${parts.join("-")}}`;
}

/** MS-DTYP 2.4.2. */
function sid(value: Buffer): string | undefined {
  const count = value.readUInt8(1);
  if (value.length !== 8 + 4 * count) return undefined;
  const authorities = Array.from({ length: count }, (_, i) => value.readUInt32LE(8 + 4 * i));
  return ["S", value.readUInt8(0), value.readUIntBE(2, 6), ...authorities].join("-");
}
