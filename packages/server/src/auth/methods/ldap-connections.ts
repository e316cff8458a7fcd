import { isRefusal, told } from "./ldap-answers.ts";
import type { LdapConnect, LdapConnection } from "./ldap-connection.ts";
import type { LdapOptions, LdapServer } from "./ldap-options.ts";
import { ServerUnreachable } from "./servers.ts";

/** Directories and firewalls forget idle connections without saying so; ours are given up before that. */
const idleMs = 60_000;

/** Runs the work on a connection. A warm one that turns out to be closed is made up for by one try on another. */
type Use = <T>(deadline: number, work: (connection: LdapConnection) => Promise<T>) => Promise<T>;

/**
 * The warm connections to one directory server; each is made when it is first needed. Deadlines are milliseconds of
 * `performance.now()`.
 */
export type LdapConnections = {
  /** Bound as the service account, shared by many logins at once. */
  forLogins: Use;
  /** The same for what scripts search, which so never stands in the way of a login. */
  forScripts: Use;
  /** Lent to one login at a time. Nobody is bound on it, or somebody is left over from before: bind first. */
  forPerson: Use;
  close(): void;
};

export function createLdapConnections(options: {
  server: LdapServer;
  connect: LdapConnect;
  bind: LdapOptions["bind"];
  maxConnections: number;
}): LdapConnections {
  const { server, connect, bind } = options;
  const all = new Set<LdapConnection>();
  let closed = false;

  const make = async (deadline: number): Promise<LdapConnection> => {
    if (!closed) {
      for (const connection of all) if (!connection.open) all.delete(connection);
      const connection = await connect(server, remaining(deadline));
      all.add(connection);
      if (!closed) return connection;
      connection.close();
    }
    throw new ServerUnreachable("is no longer asked: its settings were changed");
  };
  const makeBound = async (deadline: number): Promise<LdapConnection> => {
    const connection = await make(deadline);
    try {
      if (bind) await connection.bind(bind.dn, bind.password.reveal(), remaining(deadline));
      return connection;
    } catch (error) {
      connection.close();
      if (!isRefusal(error)) throw error;
      throw new ServerUnreachable(`does not accept auth.ldap.0.bind_dn and bind_pw: ${told(error)}`);
    }
  };

  return {
    forLogins: shared(makeBound),
    forScripts: shared(makeBound),
    forPerson: lent(make, options.maxConnections),
    close() {
      closed = true;
      for (const connection of all) connection.close();
    },
  };
}

function shared(make: (deadline: number) => Promise<LdapConnection>): Use {
  type Kept = { made: Promise<LdapConnection>; open(): boolean; users: number; idle: NodeJS.Timeout | undefined };
  let kept: Kept | undefined;

  const current = (deadline: number): Kept => {
    if (kept?.open()) return kept;
    let connection: LdapConnection | undefined;
    let failed = false;
    const made = make(deadline);
    made.then(
      (done) => {
        connection = done;
      },
      () => {
        failed = true;
      },
    );
    kept = { made, open: () => !failed && (connection?.open ?? true), users: 0, idle: undefined };
    return kept;
  };

  const once: Use = async (deadline, work) => {
    const mine = current(deadline);
    clearTimeout(mine.idle);
    mine.users += 1;
    try {
      return await work(await inTime(mine.made, deadline));
    } finally {
      mine.users -= 1;
      const close = () => mine.made.then((connection) => connection.close()).catch(() => undefined);
      if (mine.users === 0) mine.idle = setTimeout(close, idleMs).unref();
    }
  };

  return async (deadline, work) => {
    const warm = kept?.open() ? kept : undefined;
    try {
      return await once(deadline, work);
    } catch (error) {
      const lost = error instanceof ServerUnreachable && warm?.open() === false;
      if (!lost || performance.now() >= deadline) throw error;
      return once(deadline, work);
    }
  };
}

function lent(make: (deadline: number) => Promise<LdapConnection>, most: number): Use {
  const idle: { connection: LdapConnection; timer: NodeJS.Timeout }[] = [];
  const turns = createTurns(most);

  const warmOne = (): LdapConnection | undefined => {
    for (let resting = idle.pop(); resting !== undefined; resting = idle.pop()) {
      clearTimeout(resting.timer);
      if (resting.connection.open) return resting.connection;
    }
    return undefined;
  };
  const once = async <T>(connection: LdapConnection, work: (connection: LdapConnection) => Promise<T>): Promise<T> => {
    try {
      return await work(connection);
    } finally {
      if (connection.open) idle.push({ connection, timer: setTimeout(() => connection.close(), idleMs).unref() });
    }
  };

  return async (deadline, work) => {
    const leave = await turns(deadline);
    try {
      const warm = warmOne();
      if (warm === undefined) return await once(await make(deadline), work);
      try {
        return await once(warm, work);
      } catch (error) {
        const lost = error instanceof ServerUnreachable && !warm.open && performance.now() < deadline;
        if (!lost) throw error;
        return await once(await make(deadline), work);
      }
    } finally {
      leave();
    }
  };
}

/** At most so many at once, the others in the order they came; resolves with how to leave. */
function createTurns(most: number): (deadline: number) => Promise<() => void> {
  let taken = 0;
  const queue: (() => void)[] = [];
  const leave = () => {
    const next = queue.shift();
    if (next) next();
    else taken -= 1;
  };
  return async (deadline) => {
    if (taken < most) {
      taken += 1;
      return leave;
    }
    const left = remaining(deadline);
    const turn = Promise.withResolvers<void>();
    queue.push(turn.resolve);
    const timer = setTimeout(() => {
      const at = queue.indexOf(turn.resolve);
      if (at < 0) return;
      queue.splice(at, 1);
      turn.reject(new ServerUnreachable("is too slow: too many passwords wait to be checked"));
    }, left);
    await turn.promise.finally(() => clearTimeout(timer));
    return leave;
  };
}

/** Milliseconds left; throws when there are none. */
export function remaining(deadline: number): number {
  const left = deadline - performance.now();
  if (left <= 0) throw new ServerUnreachable("did not answer in time");
  return left;
}

async function inTime<T>(promise: Promise<T>, deadline: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new ServerUnreachable("did not answer in time")), remaining(deadline));
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}
