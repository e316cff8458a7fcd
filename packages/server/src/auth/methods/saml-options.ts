import { X509Certificate } from "node:crypto";
import { createSettingsReader, type Settings, type SettingsReading } from "./settings.ts";

export type SamlOptions = {
  idpEntityId: string;
  /** Where browsers are sent to sign in (HTTP-Redirect). */
  idpSignOnUrl: string;
  /** PEM; several while an identity provider changes its key. */
  idpCertificates: string[];
  /** `https://` and the host browsers reach us at. */
  baseUrl: string;
  /** The attribute that names the user; undefined: the NameID does. */
  userAttribute: string | undefined;
  clockSkewMs: number;
};

/** The paths of the service provider are Access Server's, so that what identity providers know stays true. */
export const samlPaths = { metadata: "/saml/metadata", consumer: "/saml/acs", login: "/saml/login/" } as const;

/** Reads `auth.saml.0.*`. Nobody has set SAML up where none of what describes the identity provider is there. */
export function readSamlSettings(settings: Settings, terms: { publicUrl: string }): SettingsReading<SamlOptions> {
  const reader = createSettingsReader(settings, "auth.saml.0.");
  reader.ignore("name", "enable", "idp_logout_endpoint");
  const idpEntityId = reader.text("idp_entityid");
  const idpSignOnUrl = reader.text("idp_signon_endpoint");
  const certificateText = reader.text("idp_cert");
  const host = reader.text("sp_hostname");
  const userAttribute = reader.text("user_attribute");
  const clockSkewMs = reader.integer("clock_skew", { least: 0, most: 300 }, 60) * 1000;
  if (idpEntityId === undefined && idpSignOnUrl === undefined && certificateText === undefined) {
    return reader.done<SamlOptions>(undefined);
  }
  if (idpEntityId === undefined) reader.fault("idp_entityid", "the identity provider's entity id");
  if (idpSignOnUrl === undefined || !/^https?:\/\/[^\s]+$/.test(idpSignOnUrl) || !URL.canParse(idpSignOnUrl)) {
    reader.fault("idp_signon_endpoint", "a URL such as https://idp.example.org/sso");
  }
  const idpCertificates = readCertificates(certificateText ?? "");
  if (idpCertificates === undefined) reader.fault("idp_cert", "one or more certificates in PEM");
  const baseUrl = host === undefined ? new URL(terms.publicUrl).origin : `https://${host}`;
  if (host !== undefined && (!URL.canParse(baseUrl) || new URL(baseUrl).origin !== baseUrl.toLowerCase())) {
    reader.fault("sp_hostname", "a host name such as vpn.example.org, with a port where it is not 443");
  }
  return reader.done<SamlOptions>({
    idpEntityId: idpEntityId ?? "",
    idpSignOnUrl: idpSignOnUrl ?? "",
    idpCertificates: idpCertificates ?? [],
    baseUrl,
    userAttribute,
    clockSkewMs,
  });
}

/** PEM, also on one line, or the bare base64 that metadata has. */
function readCertificates(text: string): string[] | undefined {
  const marked = [...text.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)];
  const bodies = marked.length > 0 ? marked.map(([, body = ""]) => body) : [text];
  try {
    return bodies.map((body) => new X509Certificate(Buffer.from(body.replaceAll(/\\n|\s/g, ""), "base64")).toString());
  } catch {
    return undefined;
  }
}
