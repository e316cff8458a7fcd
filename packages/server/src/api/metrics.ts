import { type AddressRange, rangeHolds } from "../core/address-range.ts";
import type { Log } from "../core/log.ts";
import type { Secret } from "../core/secret.ts";
import type { Routes } from "./http.ts";

const contentType = "text/plain; version=0.0.4; charset=utf-8";

/**
 * `/metrics` in Prometheus' text format, for whoever asks from one of the networks, or with the token (RFC 6750). The
 * names of profiles, groups, hooks and scripts are in it.
 */
export function metricsRoutes(options: {
  /** As the configuration says now. */
  terms: () => {
    allow: readonly AddressRange[];
    /** Null: the address alone decides. */
    token: Secret | null;
  };
  text: () => Promise<string>;
  log: Log;
}): Routes {
  const { terms, text, log } = options;
  const may = (address: string, authorization: string | undefined) => {
    const { allow, token } = terms();
    if (allow.some((range) => rangeHolds(range, address))) return true;
    const presented = /^Bearer +([^ ]+) *$/i.exec(authorization ?? "")?.[1];
    return token !== null && presented !== undefined && token.equals(presented);
  };
  return (app) => {
    app.get("/metrics", async (request, reply) => {
      const address = request.socket.remoteAddress ?? "";
      if (!may(address, request.headers.authorization)) {
        log.debug({ address }, "the figures were asked for from where they are not told");
        return await reply
          .code(403)
          .type("text/plain")
          .send("The figures are not told to this address: see http.metrics in docs/metrics.md.\n");
      }
      return await reply.type(contentType).send(await text());
    });
  };
}
