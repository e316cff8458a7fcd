import { connect, type Socket } from "node:net";
import { Client, type DN, type Entry, type Filter } from "ldapts";
import { isRefusal, told } from "./ldap-answers.ts";
import type { LdapOptions, LdapServer } from "./ldap-options.ts";
import { askForStartTls } from "./ldap-starttls.ts";
import { createTlsContexts, startTls } from "./ldap-tls.ts";
import { ServerUnreachable } from "./servers.ts";

/** The most that may come back for the requests under way on one connection. */
const mostBytes = 16 * 1024 * 1024;

/** LDAP result codes (RFC 4511 section 4.1.9) that say the directory cannot serve now, whatever was asked. */
const serverFaults: ReadonlySet<number> = new Set([51, 52, 80]);

export type LdapSearch = {
  base: string;
  scope: "base" | "one" | "sub";
  filter: Filter;
  attributes: string[];
  /** More entries than this are not asked for. */
  limit: number;
};

/**
 * One connection, secured as the options say, never made anew behind the caller's back: after a loss the library would
 * connect again without TLS and without a bind. Every request rejects with `ServerUnreachable` when it is not answered
 * within `ms`, and the connection is then closed; the directory's own refusals come as ldapts' `ResultCodeError`.
 */
export type LdapConnection = {
  bind(dn: string, password: string, ms: number): Promise<void>;
  search(search: LdapSearch, ms: number): Promise<Entry[]>;
  /** As `search`, in pages of so many entries. */
  searchPaged(search: LdapSearch, pageSize: number, ms: number): Promise<Entry[]>;
  readonly open: boolean;
  close(): void;
};

export type LdapConnect = (server: LdapServer, ms: number) => Promise<LdapConnection>;

export function createLdapConnect(options: Pick<LdapOptions, "security" | "tls">): LdapConnect {
  const { security, tls } = options;
  const tlsContext = createTlsContexts(tls);

  return async (server, ms) => {
    const deadline = performance.now() + ms;
    const raw = connect({ host: server.host, port: server.port, noDelay: true, keepAlive: true });
    raw.on("error", () => undefined);
    // Also ends what waits below: each of them hears of the close.
    const timer = setTimeout(() => raw.destroy(new Error("too late")), ms);
    try {
      await connected(raw);
      if (security === "plain") return wrap(raw);
      if (security !== "ldaps") {
        const answer = await askForStartTls(raw);
        const words = `${answer.message.slice(0, 200)} (LDAP result ${answer.code})`;
        if (answer.code !== 0 && security === "starttls-if-offered") return wrap(raw);
        if (answer.code !== 0) throw new ServerUnreachable(`does not do StartTLS: ${words}`);
      }
      const context = await tlsContext();
      return wrap(await startTls({ socket: raw, host: server.host, verify: tls.verify, context }));
    } catch (error) {
      raw.destroy();
      if (performance.now() >= deadline) throw new ServerUnreachable(`did not answer within ${ms} ms`);
      if (error instanceof ServerUnreachable) throw error;
      throw new ServerUnreachable(`failed: ${(error as Error).message}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  };
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      reject(new ServerUnreachable(`cannot be connected to (${error.code ?? error.message})`, { cause: error }));
    });
  });
}

function wrap(socket: Socket): LdapConnection {
  let used = false;
  const client = new Client({
    url: "ldap://one.connection.only",
    createConnection: () => {
      if (used) throw new Error("the connection is closed");
      used = true;
      return socket;
    },
  });
  // It was paused after the answer to StartTLS.
  socket.resume();
  let open = true;
  let underWay = 0;
  let bytes = 0;
  let whyClosed = "closed the connection";
  const lost = new Set<() => void>();
  socket.on("data", (data: Buffer) => {
    bytes = underWay === 0 ? 0 : bytes + data.length;
    if (bytes > mostBytes) close(`sent more than ${mostBytes / 1024 / 1024} MiB`);
  });
  socket.on("close", () => {
    open = false;
    for (const tell of lost) tell();
  });
  const close = (why: string) => {
    if (open) whyClosed = why;
    open = false;
    socket.destroy();
  };

  const ask = async <T>(request: () => Promise<T>, ms: number): Promise<T> => {
    if (!open) throw new ServerUnreachable(whyClosed);
    underWay += 1;
    const ended = Promise.withResolvers<never>();
    const tell = () => ended.reject(new ServerUnreachable(whyClosed));
    lost.add(tell);
    const timer = setTimeout(() => close(`did not answer within ${Math.round(ms)} ms`), Math.max(ms, 0));
    try {
      return await Promise.race([request(), ended.promise]);
    } catch (error) {
      if (isRefusal(error)) {
        if (serverFaults.has(error.code)) throw new ServerUnreachable(`refuses to serve: ${told(error)}`);
        throw error;
      }
      // The library's own words for a lost connection name its classes.
      if (!open || error instanceof ServerUnreachable) throw new ServerUnreachable(whyClosed);
      close("sent an answer that cannot be read");
      throw new ServerUnreachable(whyClosed, { cause: error });
    } finally {
      clearTimeout(timer);
      lost.delete(tell);
      underWay -= 1;
      if (underWay === 0) bytes = 0;
    }
  };

  const search = (what: LdapSearch, ms: number, pageSize: number | undefined) =>
    ask(async () => {
      const { base, scope, filter, attributes, limit } = what;
      const terms = { scope, filter, attributes, explicitBufferAttributes: binaryAttributes };
      if (pageSize === undefined) {
        return (await client.search(base, { ...terms, sizeLimit: limit })).searchEntries;
      }
      const entries: Entry[] = [];
      for await (const page of client.searchPaginated(base, { ...terms, paged: { pageSize } })) {
        entries.push(...page.searchEntries);
        if (entries.length >= limit) break;
      }
      return entries;
    }, ms);

  return {
    // Not as a string: one that is a SASL mechanism's name (EXTERNAL) would be taken for a wish to bind by it.
    bind: (dn, password, ms) => ask(() => client.bind({ toString: () => dn } as DN, password), ms),
    search: (what, ms) => search(what, ms, undefined),
    searchPaged: (what, pageSize, ms) => search(what, ms, pageSize),
    get open() {
      return open;
    },
    close: () => {
      // The server need not answer an unbind; closing says as much.
      close("was let go");
    },
  };
}

/** Active Directory's binary names, which may by accident be valid UTF-8. */
const binaryAttributes = ["objectGUID", "objectSid"];
