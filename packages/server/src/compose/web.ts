import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type Routes, serveHttp, type WebCertificate } from "../api/http.ts";
import { metricsRoutes } from "../api/metrics.ts";
import type { SamlService } from "../api/saml.ts";
import { readSamlSettings } from "../auth/methods/saml-options.ts";
import { samlProvider } from "../auth/methods/saml-provider.ts";
import type { SamlSignIns } from "../auth/methods/saml-sign-ins.ts";
import type { Authority } from "../client-configs/authority.ts";
import type { Config } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import type { Store } from "../store/store.ts";
import type { Figures } from "./figures/figures.ts";
import { createReadiness } from "./readiness.ts";

/** The HTTPS server, with the certificate of the configuration or else one of our own authority. */
export async function composeWeb(options: {
  config: Config;
  /** As it is after reloads. */
  live: () => Config;
  authority: Authority;
  store: Store;
  figures: Figures;
  /** Servers of VPN daemons; one that is not attached has no `server`. */
  listeners: () => readonly { profileId: string; listener: string; server: unknown }[];
  interfaces?: () => readonly { profileId: string; interface: string; state: "up" | "down" }[];
  /** Processes that start programs. */
  spawners: () => number;
  started: () => boolean;
  routes: readonly Routes[];
  log: Log;
}): Promise<{ close(): Promise<void> }> {
  const { config, live, authority, store, started, routes, log } = options;
  const { listen, tls, publicUrl } = config.http;
  const listeners = () => [
    ...options
      .listeners()
      .map(({ profileId, listener, server }) => ({ profileId, listener, up: server !== undefined })),
    ...(options.interfaces?.() ?? []).map((one) => {
      return { profileId: one.profileId, listener: one.interface, up: one.state === "up" };
    }),
  ];
  const unready = createReadiness({ started, listeners, store, dataDirectory: config.dataDirectory });
  const watched = {
    store: store.figures,
    nodeNumber: config.node.number,
    listeners,
    spawners: options.spawners,
    ready: async () => (await unready()) === undefined,
  };
  const text = () => options.figures.text(watched);
  return await serveHttp({
    listen,
    certificate: async () =>
      tls === null ? await ownCertificate(authority, namesOf(config, publicUrl)) : await givenCertificate(tls),
    unready,
    routes: [...routes, metricsRoutes({ terms: () => live().http.metrics, text, log })],
    log,
  });
}

/** SAML as the settings have it at each request. */
export function samlService(options: {
  config: Config;
  store: Pick<Store, "settings">;
  signIns: SamlSignIns;
}): () => Promise<SamlService | undefined> {
  const { config, store, signIns } = options;
  return async () => {
    const { options: read } = readSamlSettings(await store.settings.list(), { publicUrl: config.http.publicUrl });
    return read && samlProvider(read, signIns);
  };
}

function namesOf(config: Config, publicUrl: string): string[] {
  const urls = [publicUrl, config.node.url].map((url) => new URL(url).hostname.replace(/^\[(.*)\]$/, "$1"));
  return [...new Set([...urls, config.node.hostName])];
}

async function ownCertificate(authority: Authority, names: string[]): Promise<WebCertificate> {
  const { certificatePem, keyPem, notAfter } = await authority.newWebServer({ names });
  return { certificatePem: certificatePem + authority.caPem, keyPem, notAfter };
}

async function givenCertificate(tls: NonNullable<Config["http"]["tls"]>): Promise<WebCertificate> {
  const read = async (path: string) =>
    await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      throw new SallyportError("config-invalid", `http.tls: ${path} cannot be read (${error.code})`, { cause: error });
    });
  const certificatePem = await read(tls.certificateFile);
  const keyPem = await read(tls.keyFile);
  try {
    return { certificatePem, keyPem, notAfter: new Date(new X509Certificate(certificatePem).validTo) };
  } catch (cause) {
    throw new SallyportError("config-invalid", `http.tls.cert: ${tls.certificateFile} is no certificate in PEM`, {
      cause,
    });
  }
}
