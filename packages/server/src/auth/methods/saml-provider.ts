import { createHash } from "node:crypto";
import { type Profile, SAML, ValidateInResponseTo } from "@node-saml/node-saml";
import { type SamlOptions, samlPaths } from "./saml-options.ts";
import type { SamlPerson, SamlSignIns } from "./saml-sign-ins.ts";

/** Assertions older than this are refused, whatever they say themselves. */
const oldestAssertionMs = 10 * 60_000;

/** Our side of SAML, a service provider: what identity providers and browsers are told. */
export function samlProvider(options: SamlOptions, signIns: SamlSignIns) {
  const entityId = options.baseUrl + samlPaths.metadata;
  const consumerUrl = options.baseUrl + samlPaths.consumer;

  /** One sign-in's view: the only request it knows is its own, so no answer to another is taken for one to it. */
  const providerFor = (id: string): SAML => {
    const requestId = requestIdOf(id);
    return new SAML({
      issuer: entityId,
      audience: entityId,
      callbackUrl: consumerUrl,
      entryPoint: options.idpSignOnUrl,
      idpCert: options.idpCertificates,
      idpIssuer: options.idpEntityId,
      wantAssertionsSigned: true,
      wantAuthnResponseSigned: false,
      acceptedClockSkewMs: options.clockSkewMs,
      maxAssertionAgeMs: oldestAssertionMs,
      identifierFormat: null,
      disableRequestedAuthnContext: true,
      generateUniqueId: () => requestId,
      validateInResponseTo: ValidateInResponseTo.always,
      cacheProvider: {
        saveAsync: async (_key, value) => ({ createdAt: Date.now(), value }),
        getAsync: async (key) => (key === requestId && signIns.waits(id) ? new Date().toISOString() : null),
        removeAsync: async (key) => key,
      },
    });
  };

  return {
    metadata(): string {
      return providerFor("metadata").generateServiceProviderMetadata(null);
    },

    /** How our own pages name this server. */
    origin: new URL(options.baseUrl).origin,

    asked: (id: string) => signIns.asked(id),

    /** Where a browser goes to sign in; undefined where the sign-in is over or none. */
    async signOnUrl(id: string): Promise<string | undefined> {
      return signIns.waits(id) ? await providerFor(id).getAuthorizeUrlAsync(id, undefined, {}) : undefined;
    },

    /** What a browser brought back: the word that answers the tunnel, or why not, for the log. */
    async accept(posted: { id: string; response: string }): Promise<{ word: string } | { refused: string }> {
      const { id, response } = posted;
      if (!signIns.waits(id)) return { refused: "nobody waits for this sign-in: it is over, or was finished before" };
      // Nothing of SAML has one, and readers differ in what they make of it.
      if (/<!(DOCTYPE|ENTITY)/i.test(Buffer.from(response, "base64").toString("utf8"))) {
        return { refused: "it has a document type declaration" };
      }
      try {
        const { profile } = await providerFor(id).validatePostResponseAsync({ SAMLResponse: response });
        if (profile === null) return { refused: "it says that somebody signed out" };
        const { assertionId, validUntil } = checkAssertion(profile, requestIdOf(id));
        if (!signIns.useAssertion(assertionId, validUntil)) return { refused: "the assertion was used before" };
        const word = signIns.finish(id, personOf(profile));
        return word === undefined ? { refused: "nobody waits for this sign-in any more" } : { word };
      } catch (error) {
        return { refused: error instanceof Error ? error.message : String(error) };
      }
    },
  };

  /** What the library leaves open, on the part that was signed. Throws why it is not to be believed. */
  function checkAssertion(profile: Profile, requestId: string): { assertionId: string; validUntil: number } {
    const assertion = nodeAt(profile.getAssertion?.(), "Assertion");
    if (profile.issuer !== options.idpEntityId) throw new Error(`it was issued by ${JSON.stringify(profile.issuer)}`);
    const assertionId = attributeOf(assertion, "ID");
    if (assertionId === undefined) throw new Error("the assertion has no ID");
    if (nodeAt(assertion, "Conditions") === undefined) throw new Error("the assertion has no Conditions");
    const confirmations = nodesAt(nodeAt(assertion, "Subject"), "SubjectConfirmation");
    const now = Date.now();
    const until = confirmations.flatMap((confirmation) => {
      const data = nodeAt(confirmation, "SubjectConfirmationData");
      const end = Date.parse(attributeOf(data, "NotOnOrAfter") ?? "");
      const ours =
        attributeOf(confirmation, "Method") === "urn:oasis:names:tc:SAML:2.0:cm:bearer" &&
        attributeOf(data, "Recipient") === consumerUrl &&
        attributeOf(data, "InResponseTo") === requestId &&
        end + options.clockSkewMs > now;
      return ours ? [end] : [];
    });
    const end = until[0];
    if (end === undefined) {
      throw new Error(`no subject confirmation is for ${consumerUrl}, in time, and an answer to this request`);
    }
    return { assertionId, validUntil: Math.max(end, now + oldestAssertionMs) + options.clockSkewMs };
  }

  function personOf(profile: Profile): SamlPerson {
    const attributes = Object.fromEntries(
      Object.entries((profile.attributes as Record<string, unknown> | undefined) ?? {}).map(([name, value]) => [
        name,
        [value].flat().filter((one): one is string => typeof one === "string"),
      ]),
    );
    const { userAttribute } = options;
    const names = userAttribute === undefined ? [profile.nameID] : (attributes[userAttribute] ?? []);
    const [userId] = names;
    if (names.length !== 1 || !userId) {
      const where = userAttribute === undefined ? "NameID" : `attribute ${JSON.stringify(userAttribute)}`;
      throw new Error(`the assertion names ${names.length === 0 || !userId ? "nobody" : "several"} in its ${where}`);
    }
    return { userId, attributes };
  }
}

/** Known to nobody but who knows the sign-in's name, and the same each time its page is opened. */
function requestIdOf(id: string): string {
  return `_${createHash("sha256").update(`saml ${id}`).digest("hex")}`;
}

/** Elements as the library's reader has them: lists by name, attributes under `$`. */
type XmlNode = Record<string, unknown>;

function nodesAt(parent: unknown, name: string): XmlNode[] {
  const found = typeof parent === "object" && parent !== null ? (parent as XmlNode)[name] : undefined;
  return [found].flat().filter((node): node is XmlNode => typeof node === "object" && node !== null);
}

function nodeAt(parent: unknown, name: string): XmlNode | undefined {
  return nodesAt(parent, name)[0];
}

function attributeOf(node: XmlNode | undefined, name: string): string | undefined {
  const value = (node?.$ as XmlNode | undefined)?.[name];
  return typeof value === "string" ? value : undefined;
}
