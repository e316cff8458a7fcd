import type { AddressInfo } from "node:net";
import Fastify, { type FastifyInstance } from "fastify";
import { SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";

/** The web server's certificate chain and key, PEM. */
export type WebCertificate = { certificatePem: string; keyPem: string; notAfter: Date };

/** Adds the paths of one part of the server. */
export type Routes = (app: FastifyInstance) => void;

const mostBodyBytes = 1024 * 1024;
const requestTimeoutMs = 15_000;
const mostConnections = 2_000;
const dayMs = 86_400_000;
/** A certificate with less than this left is asked for anew; looked at once a day. */
const renewBeforeMs = 30 * dayMs;

/**
 * The HTTPS server: `/healthz` (the process answers), `/readyz` (it lets people in), a page that says what this is, and
 * the paths of `routes`. TLS 1.2 and newer.
 * @throws SallyportError `conflict` where the address cannot be listened at
 */
export async function serveHttp(options: {
  listen: { address: string; port: number };
  certificate: () => Promise<WebCertificate>;
  /** Undefined where people are let in; otherwise why not, for whoever watches. */
  unready: () => Promise<string | undefined>;
  routes: readonly Routes[];
  log: Log;
}): Promise<{ port: number; close(): Promise<void> }> {
  const { listen, log } = options;
  let present = await options.certificate();
  const tls = ({ certificatePem: cert, keyPem: key }: WebCertificate) => ({
    cert,
    key,
    minVersion: "TLSv1.2" as const,
  });
  const app = Fastify({
    https: tls(present),
    bodyLimit: mostBodyBytes,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: true,
  });
  app.server.maxConnections = mostConnections;
  app.addHook("onSend", async (_request, reply) => {
    reply.headers({
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      "referrer-policy": "same-origin",
      "strict-transport-security": "max-age=31536000",
      "x-content-type-options": "nosniff",
    });
  });
  app.setNotFoundHandler(async (_request, reply) => reply.code(404).type("text/plain").send("Not found.\n"));
  app.setErrorHandler(async (error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) log.error({ method: request.method, path: request.routeOptions.url, error }, "a request failed");
    return await reply
      .code(status)
      .type("text/plain")
      .send(status >= 500 ? "Something went wrong; the log says what.\n" : "The request could not be read.\n");
  });

  app.get("/healthz", async (_request, reply) => reply.type("text/plain").send("ok\n"));
  app.get("/readyz", async (_request, reply) => {
    const why = await options.unready();
    if (why !== undefined) log.warn({ why }, "not ready");
    return await reply
      .code(why === undefined ? 200 : 503)
      .type("text/plain")
      .send(why === undefined ? "ready\n" : "not ready; the log says why\n");
  });
  app.get("/", async (_request, reply) =>
    reply.type("text/html").send(page("Sallyport", "This server lets people into a VPN. There is nothing to do here.")),
  );
  for (const add of options.routes) add(app);

  const renewing = setInterval(() => {
    if (present.notAfter.getTime() - Date.now() > renewBeforeMs) return;
    options.certificate().then(
      (next) => {
        present = next;
        app.server.setSecureContext(tls(next));
      },
      (error: unknown) => log.error({ error }, "the web server's certificate could not be renewed"),
    );
  }, dayMs);
  renewing.unref();

  try {
    await app.listen({ host: listen.address, port: listen.port });
  } catch (error) {
    clearInterval(renewing);
    const { code = "" } = error as NodeJS.ErrnoException;
    const where = `${listen.address} port ${listen.port}`;
    const why = `${notListening[code] ?? code}; see http.listen`;
    throw new SallyportError("conflict", `the web server cannot listen at ${where}: ${why}`, { cause: error });
  }
  return {
    port: (app.server.address() as AddressInfo).port,
    async close() {
      clearInterval(renewing);
      await app.close();
    },
  };
}

const notListening: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there already (ss -ltnp names it)",
  EADDRNOTAVAIL: "this machine does not have that address",
  EACCES: "this account may not",
};

/** A plain page, with a button that posts to `action` where there is something to do; every text is escaped here. */
export function page(title: string, text: string, button?: { action: string; label: string }): string {
  const safe = (given: string) => given.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  const form = button
    ? `<form method="post" action="${safe(button.action)}"><button>${safe(button.label)}</button></form>`
    : "";
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${safe(title)}</title>
<style>body{font:18px/1.5 system-ui,sans-serif;max-width:32em;margin:20vh auto;padding:0 1em}button{font:inherit}</style></head>
<body><h1>${safe(title)}</h1><p>${safe(text)}</p>${form}</body></html>
`;
}
