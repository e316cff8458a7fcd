import { readFile, stat } from "node:fs/promises";
import type { Socket } from "node:net";
import { isIP } from "node:net";
import { createSecureContext, type SecureContext, type TLSSocket, connect as tlsConnect } from "node:tls";
import type { LdapTls } from "./ldap-options.ts";
import { ServerUnreachable } from "./servers.ts";

/** Where Debian keeps the certificates the system trusts, local ones included. */
const systemCertificates = "/etc/ssl/certs/ca-certificates.crt";

/** Makes TLS contexts, and makes them anew only when the file of trusted certificates has changed. */
export function createTlsContexts(tls: LdapTls): () => Promise<SecureContext> {
  let kept: { version: string; context: SecureContext } | undefined;
  return async () => {
    const file = tls.ca === undefined ? systemCertificates : "file" in tls.ca ? tls.ca.file : undefined;
    const facts = file === undefined ? undefined : await stat(file).catch(() => undefined);
    const version = facts === undefined ? "none" : `${facts.mtimeMs} ${facts.size} ${facts.ino}`;
    if (kept?.version !== version) {
      kept = { version, context: createSecureContext({ ca: await trusted(tls), minVersion: tls.minVersion }) };
    }
    return kept.context;
  };
}

async function trusted(tls: LdapTls): Promise<string | undefined> {
  if (tls.ca === undefined) return readFile(systemCertificates, "utf8").catch(() => undefined);
  if ("pem" in tls.ca) return tls.ca.pem;
  const { file } = tls.ca;
  const pem = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ServerUnreachable(`cannot be trusted: auth.ldap.0.ssl_ca_cert ${file} cannot be read (${error.code})`);
  });
  if (!pem.includes("-----BEGIN CERTIFICATE-----")) {
    throw new ServerUnreachable(`cannot be trusted: auth.ldap.0.ssl_ca_cert ${file} holds no PEM certificate`);
  }
  return pem;
}

/** Puts TLS on an open connection. Rejects with `ServerUnreachable` that says what is wrong with the certificate. */
export function startTls(options: {
  socket: Socket;
  host: string;
  verify: boolean;
  context: SecureContext;
}): Promise<TLSSocket> {
  const { socket, host, verify, context } = options;
  return new Promise((resolve, reject) => {
    const secured = tlsConnect({
      socket,
      host,
      // An address is no server name; the certificate is held against it all the same.
      ...(isIP(host) === 0 && { servername: host }),
      secureContext: context,
      rejectUnauthorized: verify,
    });
    const failed = (error: NodeJS.ErrnoException) => {
      secured.destroy();
      reject(new ServerUnreachable(tlsReason(error, host), { cause: error }));
    };
    secured.once("error", failed);
    secured.once("close", () => reject(new ServerUnreachable("closed the connection during the TLS handshake")));
    secured.once("secureConnect", () => {
      secured.off("error", failed);
      secured.on("error", () => undefined);
      resolve(secured);
    });
  });
}

const untrusted = "set auth.ldap.0.ssl_ca_cert to the CA's certificate";

function tlsReason(error: NodeJS.ErrnoException, host: string): string {
  switch (error.code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `has a certificate for another name than ${host}; use the name in the certificate as auth.ldap.0.server.N.host`;
    case "CERT_HAS_EXPIRED":
      return "has a certificate that has expired";
    case "CERT_NOT_YET_VALID":
      return "has a certificate that is not valid yet; check the clocks";
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_GET_ISSUER_CERT":
      return `has a certificate of a CA that is not trusted here; ${untrusted}`;
    default:
      return `failed the TLS handshake: ${error.message}`;
  }
}
