import { randomBytes } from "node:crypto";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Secret } from "../core/secret.ts";
import { code, type RadiusAttribute, type RadiusPacket } from "./packet.ts";
import { checkReply, type SentRequest, signAccessRequest, signAccountingRequest } from "./signing.ts";
import { createSourcePorts, type Discarded, type Place } from "./source-ports.ts";

export type RadiusServer = {
  /** As settings and reasons name it. */
  name: string;
  host: string;
  port: number;
  secret: Secret;
  /** Whether a reply to an Access-Request without Message-Authenticator is refused. */
  requireMessageAuthenticator: boolean;
};

/** No usable answer: nobody there, none in time, or replies that are not the server's. Says which, and what to mend. */
export class RadiusNoAnswer extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RadiusNoAnswer";
  }
}

/** How long to wait for an answer before the same packet is sent again, and how often it is sent in all. */
export type RadiusPatience = { tryMs: number; tries: number };

/**
 * Asks RADIUS servers over UDP (RFC 2865, 2866). Replies are believed only when they carry the signature of the secret
 * for this very request; all others are as if they had never come. Rejects with `RadiusNoAnswer`.
 */
export type RadiusClient = {
  /** Resolves with an Access-Accept, Access-Reject or Access-Challenge. Attributes may depend on the authenticator. */
  access(
    server: RadiusServer,
    attributes: (authenticator: Buffer) => RadiusAttribute[],
    patience: RadiusPatience,
  ): Promise<RadiusPacket>;
  /** Resolves when the server has taken note. */
  accounting(server: RadiusServer, attributes: readonly RadiusAttribute[], patience: RadiusPatience): Promise<void>;
  close(): void;
};

const accessReplies = [code.accessAccept, code.accessReject, code.accessChallenge];
const resolvedForMs = 30_000;

export function createRadiusClient(): RadiusClient {
  const ports = createSourcePorts();
  const resolved = new Map<string, { address: string; until: number }>();

  const addressOf = async (host: string, ms: number): Promise<string> => {
    if (isIP(host) !== 0) return host;
    const known = resolved.get(host);
    if (known !== undefined && known.until > performance.now()) return known.address;
    const found = await inTime(lookup(host), ms, `its name ${host} was not resolved`).catch((error) => {
      if (error instanceof RadiusNoAnswer) throw error;
      throw new RadiusNoAnswer(`its name ${host} cannot be resolved (${error.code})`, { cause: error });
    });
    resolved.set(host, { address: found.address, until: performance.now() + resolvedForMs });
    return found.address;
  };

  const placeFor = (address: string, port: number): Place => {
    try {
      return ports.take(address, port);
    } catch (error) {
      throw new RadiusNoAnswer(failure(error as NodeJS.ErrnoException), { cause: error });
    }
  };

  const exchange = async (
    server: RadiusServer,
    patience: RadiusPatience,
    codes: readonly number[],
    requireMessageAuthenticator: boolean,
    sign: (identifier: number) => { bytes: Buffer; authenticator: Buffer },
  ): Promise<RadiusPacket> => {
    const address = await addressOf(server.host, patience.tryMs);
    const place = placeFor(address, server.port);
    const reply = Promise.withResolvers<RadiusPacket>();
    const discarded: Discarded = { forged: 0, other: 0 };
    let timer: NodeJS.Timeout | undefined;
    try {
      const { bytes, authenticator } = sign(place.identifier);
      const request: SentRequest = { identifier: place.identifier, authenticator };
      const secret = server.secret.reveal();
      place.listen({
        datagram(received) {
          const checked = checkReply({ bytes: received, request, secret, codes, requireMessageAuthenticator });
          if (checked.verdict === "genuine") reply.resolve(checked.reply);
          else if (checked.verdict === "unsigned") reply.reject(new RadiusNoAnswer(unsigned));
          else if (checked.verdict === "forged") discarded.forged += 1;
          else discarded.other += 1;
        },
        failed(error) {
          reply.reject(new RadiusNoAnswer(failure(error), { cause: error }));
        },
      });
      let sent = 0;
      const send = () => {
        if (sent === patience.tries) return reply.reject(new RadiusNoAnswer(silence(patience, discarded)));
        sent += 1;
        place.send(bytes);
        timer = setTimeout(send, patience.tryMs);
      };
      send();
      return await reply.promise;
    } finally {
      clearTimeout(timer);
      place.leave();
    }
  };

  return {
    access: (server, attributes, patience) =>
      exchange(server, patience, accessReplies, server.requireMessageAuthenticator, (identifier) => {
        const authenticator = randomBytes(16);
        const secret = server.secret.reveal();
        const bytes = signAccessRequest({ identifier, authenticator, attributes: attributes(authenticator), secret });
        return { bytes, authenticator };
      }),
    async accounting(server, attributes, patience) {
      await exchange(server, patience, [code.accountingResponse], false, (identifier) =>
        signAccountingRequest({ identifier, attributes, secret: server.secret.reveal() }),
      );
    },
    close: () => ports.close(),
  };
}

const unsigned =
  "answers without Message-Authenticator, which anybody on the way could have changed; " +
  "have the server send it, or set require_message_authenticator to false for this server";

function silence({ tryMs, tries }: RadiusPatience, { forged }: Discarded): string {
  const waited = `did not answer within ${(tryMs * tries) / 1000} s`;
  if (forged > 0)
    return `${waited}; ${forged} replies came that are not signed with its secret: is the secret the same?`;
  return `${waited}; a server also keeps silent when the secret or this machine's address is not the one it knows`;
}

function failure(error: NodeJS.ErrnoException): string {
  if (error.code === "ECONNREFUSED") return "cannot be asked: nobody listens there (ECONNREFUSED)";
  return `cannot be asked (${error.code ?? error.message})`;
}

function inTime<T>(promise: Promise<T>, ms: number, late: string): Promise<T> {
  const tooLate = Promise.withResolvers<never>();
  const timer = setTimeout(() => tooLate.reject(new RadiusNoAnswer(`${late} within ${ms / 1000} s`)), ms);
  return Promise.race([promise, tooLate.promise]).finally(() => clearTimeout(timer));
}
