import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import * as x509 from "@peculiar/x509";

/** The part of samlp, which has no types, that an identity provider needs. */
type Samlp = {
  parseRequest(
    request: { query: Record<string, string> },
    options: object,
    done: (error: Error | null, parsed?: { id: string; issuer: string; assertionConsumerServiceURL: string }) => void,
  ): void;
  getSamlResponse(options: object, user: SamlUser, done: (error: Error | null, xml?: string) => void): void;
};

const samlp = createRequire(import.meta.url)("samlp") as Samlp;

export type SamlUser = { name: string; attributes?: Record<string, string | string[]> };

/** What a page of the identity provider has the browser post to the service provider. */
export type Posted = { SAMLResponse: string; RelayState: string };

export type IdentityProvider = {
  entityId: string;
  signOnUrl: string;
  certificatePem: string;
  /** Signs a user in who came with a sign-on URL; `changes` are samlp's options, where it is to do otherwise. */
  signIn(url: string, user: SamlUser, changes?: Record<string, unknown>): Promise<Posted>;
};

/** An identity provider made of samlp, with a key of its own. */
export async function identityProvider(): Promise<IdentityProvider> {
  const entityId = "https://idp.example.org/metadata";
  const signOnUrl = "https://idp.example.org/sso";
  const signing = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const terms = { ...signing, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
  const keys = await webcrypto.subtle.generateKey(terms, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=idp.example.org",
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: signing,
    keys,
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const certificatePem = certificate.toString("pem");
  return {
    entityId,
    signOnUrl,
    certificatePem,
    async signIn(url, user, changes = {}) {
      const query = Object.fromEntries(new URL(url).searchParams);
      const request = await new Promise<{ id: string; issuer: string; assertionConsumerServiceURL: string }>(
        (resolve, reject) =>
          samlp.parseRequest({ query }, {}, (error, parsed) => (parsed ? resolve(parsed) : reject(error))),
      );
      const options = {
        issuer: entityId,
        cert: certificatePem,
        key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
        audience: request.issuer,
        recipient: request.assertionConsumerServiceURL,
        destination: request.assertionConsumerServiceURL,
        inResponseTo: request.id,
        lifetimeInSeconds: 120,
        signatureAlgorithm: "rsa-sha256",
        digestAlgorithm: "sha256",
        signAssertion: true,
        signResponse: false,
        profileMapper: ({ name, attributes = {} }: SamlUser) => ({
          getClaims: () => attributes,
          getNameIdentifier: () => ({ nameIdentifier: name }),
        }),
        ...changes,
      };
      const xml = await new Promise<string>((resolve, reject) =>
        samlp.getSamlResponse(options, user, (error, made) => (made ? resolve(made) : reject(error))),
      );
      return { SAMLResponse: Buffer.from(xml).toString("base64"), RelayState: query.RelayState ?? "" };
    },
  };
}

/** The same response with its XML changed after it was signed. */
export function tampered(posted: Posted, change: (xml: string) => string): Posted {
  const before = Buffer.from(posted.SAMLResponse, "base64").toString("utf8");
  const after = change(before);
  if (after === before) throw new Error("nothing was changed");
  return { ...posted, SAMLResponse: Buffer.from(after).toString("base64") };
}
