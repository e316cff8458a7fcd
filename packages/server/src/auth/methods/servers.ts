/** A server could not be asked, or did not answer in a way that means anything: the next one is tried. */
export class ServerUnreachable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ServerUnreachable";
  }
}

/** A server answered, but nothing can be concluded about this login: an outage to it, and no fault of that server's. */
export class CannotJudge extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CannotJudge";
  }
}

/**
 * Several servers that answer alike. They are asked in the order given until one answers. One that did not is left
 * alone for a while: others go first, and after that time one request alone tries it before the rest come back.
 */
export type Servers<S> = {
  /** Rejects with `ServerUnreachable`, naming each server's reason, when none answered. Any other error is passed on. */
  ask<T>(attempt: (server: S) => Promise<T>): Promise<T>;
  /** Servers that are being left alone now. */
  down(): S[];
};

const leaveAloneMs = 30_000;

export function createServers<S extends { name: string }>(options: {
  servers: readonly S[];
  /** How long one that did not answer is left alone. */
  downForMs?: number;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
  /** Told once when a server stops answering, and once when it answers again. */
  onChange?: (server: S, up: boolean, reason: string) => void;
}): Servers<S> {
  const { servers, downForMs = leaveAloneMs, now = () => performance.now(), onChange = () => undefined } = options;
  /** Servers that did not answer the last time, and until when they are left alone. */
  const downUntil = new Map<S, number>();

  const next = (tried: ReadonlySet<S>): S | undefined => {
    const untried = servers.filter((server) => !tried.has(server));
    const time = now();
    return untried.find((server) => (downUntil.get(server) ?? 0) <= time) ?? untried[0];
  };

  return {
    async ask(attempt) {
      const tried = new Set<S>();
      const reasons: string[] = [];
      for (let server = next(tried); server !== undefined; server = next(tried)) {
        tried.add(server);
        // Until this request knows, others keep away from a server that was down.
        if (downUntil.has(server)) downUntil.set(server, now() + downForMs);
        try {
          const answer = await attempt(server);
          if (downUntil.delete(server)) onChange(server, true, "it answers again");
          return answer;
        } catch (error) {
          if (!(error instanceof ServerUnreachable)) throw error;
          reasons.push(`${server.name} ${error.message}`);
          const news = !downUntil.has(server);
          downUntil.set(server, now() + downForMs);
          if (news) onChange(server, false, error.message);
        }
      }
      throw new ServerUnreachable(reasons.join("; ") || "no server is set up");
    },
    down: () => servers.filter((server) => (downUntil.get(server) ?? 0) > now()),
  };
}
