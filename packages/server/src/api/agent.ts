import rateLimit from "@fastify/rate-limit";
import {
  type AgentRefusal,
  agentPaths,
  isTicket,
  mostOutputBytes,
  mostReports,
  scriptEvents,
  scriptPlatforms,
  scriptPrivileges,
} from "@sallyport/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { HandOut } from "../client-scripts/hand-out.ts";
import { parseAddress } from "../core/address-range.ts";
import { errorTable, SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { errorAnswer } from "./error-body.ts";
import type { Routes } from "./http.ts";

/** From one address, for all of these together: an office behind one address may reconnect as a whole. */
const mostPerMinute = 600;
/** A bundle may be many megabytes; so many are made at once. */
const mostBundlesAtOnce = 16;
const smallBodyBytes = 4 * 1024;
/** One report a request is enough; JSON may make six bytes of one. */
const reportBodyBytes = 6 * mostOutputBytes + 64 * 1024;

const word = (most: number) => z.string().max(most);
const ticket = z.string().refine(isTicket, "expected a ticket");
const platform = z.enum(scriptPlatforms.filter((one) => one !== "all"));
const bundleRequest = z.strictObject({
  ticket,
  nonce: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/, "expected 16 to 64 letters, digits, hyphens and underscores"),
  platform,
  agentVersion: z.string().regex(/^[\w.+-]{1,64}$/, "expected a version"),
});
const outputRequest = z.strictObject({
  token: ticket,
  reports: z
    .array(
      z.strictObject({
        name: word(100),
        event: z.enum(scriptEvents),
        privilege: z.enum(scriptPrivileges),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits"),
        outcome: z.enum(["ran", "failed", "timed-out", "refused"]),
        startedAt: z.iso.datetime({ error: "expected an ISO 8601 UTC time" }),
        durationMs: z.int().min(0),
        exitCode: z.int().nullable(),
        signal: word(20).nullable(),
        detail: word(2000).nullable(),
        output: z.string(),
      }),
    )
    .min(1)
    .max(mostReports),
});

/** `/agent/v1`: what agents on users' machines ask (`agent-api.ts` of the protocol). Refusals are JSON with a code. */
export function agentRoutes(options: { handOut: HandOut; log: Log }): Routes {
  const { handOut, log } = options;
  let making = 0;

  const routes = async (app: FastifyInstance): Promise<void> => {
    app.setErrorHandler(async (error, request, reply) => {
      if (isRateLimit(error)) return await refuse(reply, "too-many-requests", "too many requests from this address");
      const { httpStatus, body } = errorAnswer(tooLarge(error, request) ?? error, log);
      const { code, message } = body.error;
      if (httpStatus < 500)
        log.info(
          { path: request.routeOptions.url, address: request.ip, code, reason: message },
          "an agent was refused",
        );
      return await reply.code(httpStatus).send({ error: { code, message } } satisfies AgentRefusal);
    });
    await app.register(rateLimit, { global: true, max: mostPerMinute, timeWindow: 60_000, cache: 10_000 });

    app.post(agentPaths.ticket, { bodyLimit: smallBodyBytes }, async (request) => {
      checked(z.strictObject({}), request.body);
      return await handOut.ticketInTunnel({ from: addressOf(request), to: parseAddress(localAddress(request)) ?? "" });
    });

    app.post(agentPaths.bundle, { bodyLimit: smallBodyBytes }, async (request) => {
      const asked = checked(bundleRequest, request.body);
      if (making >= mostBundlesAtOnce)
        throw new SallyportError("too-busy", "too many agents ask at once; ask again in a second");
      making += 1;
      try {
        return await handOut.bundle({ ...asked, from: addressOf(request) });
      } finally {
        making -= 1;
      }
    });

    app.post(agentPaths.output, { bodyLimit: reportBodyBytes }, async (request) =>
      handOut.report(checked(outputRequest, request.body)),
    );
  };
  return (app) => void app.register(routes);
}

async function refuse(reply: FastifyReply, code: keyof typeof errorTable, message: string): Promise<FastifyReply> {
  return await reply.code(errorTable[code].httpStatus).send({ error: { code, message } } satisfies AgentRefusal);
}

function isRateLimit(error: unknown): boolean {
  return (error as { statusCode?: number }).statusCode === 429;
}

/** In this API's words: what other callers may send is no business of an agent's. */
function tooLarge(error: unknown, { routeOptions: { bodyLimit } }: FastifyRequest): SallyportError | undefined {
  if ((error as { code?: unknown }).code !== "FST_ERR_CTP_BODY_TOO_LARGE") return undefined;
  return new SallyportError("invalid-input", `the request is larger than the ${bodyLimit} bytes that are read here`);
}

function checked<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  const result = schema.safeParse(body ?? {});
  if (result.success) return result.data;
  // Names of fields only: what was sent may be a ticket.
  const [issue] = result.error.issues;
  const place = issue?.path.map(String).join(".") ?? "";
  throw new SallyportError("invalid-input", `the request cannot be read: ${place} ${issue?.code ?? ""}`.trimEnd());
}

/** The connection's own, not what a header says: for WireGuard it names the tunnel. */
function addressOf(request: FastifyRequest): string {
  return parseAddress(request.socket.remoteAddress ?? "") ?? "";
}

function localAddress(request: FastifyRequest): string {
  return request.socket.localAddress ?? "";
}
