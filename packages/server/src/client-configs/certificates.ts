import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { parseAddress } from "../core/address-range.ts";
import { toPem } from "./pem.ts";

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
const signing = { name: "ECDSA", hash: "SHA-256" } as const;

/** Clocks of devices are often a little slow: a new certificate holds from a day before it was made. */
const backdatedMs = 86_400_000;

type KeyPair = webcrypto.CryptoKeyPair;

/** Who signs: our own CA. */
export type Signer = { certificate: x509.X509Certificate; key: webcrypto.CryptoKey };

export type Certificate = {
  certificatePem: string;
  keyPem: string;
  /** Lower-case hex without leading zeros. */
  serial: string;
  notAfter: Date;
};

export async function newAuthority(terms: { commonName: string; now: Date; validForMs: number }): Promise<Certificate> {
  const keys = await newKeys();
  const serial = newSerial();
  const notAfter = wholeSeconds(terms.now.getTime() + terms.validForMs);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial,
    name: [{ CN: [terms.commonName] }],
    notBefore: wholeSeconds(terms.now.getTime() - backdatedMs),
    notAfter,
    signingAlgorithm: signing,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { ...(await pemsOf(certificate, keys)), serial, notAfter };
}

/** A new key with a certificate for it, for the host names and addresses in `names`. It ends no later than the CA does. */
export async function newCertificate(
  signer: Signer,
  terms: { commonName: string; usage: "server" | "client"; names?: readonly string[]; now: Date; validForMs: number },
): Promise<Certificate> {
  const keys = await newKeys();
  const serial = newSerial();
  const end = Math.min(terms.now.getTime() + terms.validForMs, signer.certificate.notAfter.getTime());
  const notAfter = wholeSeconds(end);
  const usage = terms.usage === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: [{ CN: [terms.commonName] }],
    issuer: signer.certificate.subjectName,
    notBefore: wholeSeconds(terms.now.getTime() - backdatedMs),
    notAfter,
    signingAlgorithm: signing,
    publicKey: keys.publicKey,
    signingKey: signer.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      ...(terms.names ? [alternativeNames(terms.names)] : []),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(signer.certificate.publicKey),
    ],
  });
  return { ...(await pemsOf(certificate, keys)), serial, notAfter };
}

/** A revocation list that OpenSSL reads: `@peculiar/x509` labels its own `CRL`. */
export async function newRevocationList(
  signer: Signer,
  terms: { revoked: readonly { serial: string; revokedAt: string }[]; now: Date; validForMs: number },
): Promise<string> {
  const list = await x509.X509CrlGenerator.create({
    issuer: signer.certificate.subjectName,
    thisUpdate: wholeSeconds(terms.now.getTime()),
    nextUpdate: wholeSeconds(terms.now.getTime() + terms.validForMs),
    entries: terms.revoked.map(({ serial, revokedAt }) => ({
      serialNumber: serial.length % 2 === 0 ? serial : `0${serial}`,
      revocationDate: wholeSeconds(Date.parse(revokedAt)),
    })),
    signingAlgorithm: signing,
    signingKey: signer.key,
    extensions: [
      await x509.AuthorityKeyIdentifierExtension.create(signer.certificate.publicKey),
      crlNumber(Math.floor(terms.now.getTime() / 1000)),
    ],
  });
  return toPem("X509 CRL", new Uint8Array(list.rawData));
}

/** Reads a CA back; throws where certificate and key do not belong together. */
export async function readSigner(certificatePem: string, keyPem: string): Promise<Signer> {
  const certificate = new x509.X509Certificate(certificatePem);
  const bytes = x509.PemConverter.decodeFirst(keyPem);
  const key = await webcrypto.subtle.importKey("pkcs8", bytes, keyAlgorithm, false, ["sign"]);
  const probe = randomBytes(32);
  const publicKey = await certificate.publicKey.export(keyAlgorithm, ["verify"]);
  const signature = await webcrypto.subtle.sign(signing, key, probe);
  if (!(await webcrypto.subtle.verify(signing, publicKey, signature, probe)))
    throw new Error("the key is not this certificate's");
  return { certificate, key };
}

/** What a certificate says, where this CA signed it; undefined where it did not or it cannot be read. */
export async function readSigned(
  signer: Signer,
  certificatePem: string,
): Promise<{ commonName: string | undefined; notBefore: Date; notAfter: Date } | undefined> {
  try {
    const certificate = new x509.X509Certificate(certificatePem);
    const { publicKey } = signer.certificate;
    if (!(await certificate.verify({ publicKey, signatureOnly: true }))) return undefined;
    const { notBefore, notAfter } = certificate;
    return { commonName: certificate.subjectName.getField("CN")[0], notBefore, notAfter };
  } catch {
    return undefined;
  }
}

function alternativeNames(names: readonly string[]): x509.Extension {
  return new x509.SubjectAlternativeNameExtension(
    names.map((value) => ({ type: parseAddress(value) === undefined ? ("dns" as const) : ("ip" as const), value })),
  );
}

function newKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
}

/** 126 random bits: positive, and never with a leading zero. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

/** Each list has a higher number than the one before (RFC 5280, 5.2.3): the time it was made does. */
function crlNumber(number: number): x509.Extension {
  const hex = number.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  const positive = (bytes[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes;
  return new x509.Extension("2.5.29.20", false, Buffer.concat([Buffer.from([0x02, positive.length]), positive]));
}

/** Certificates know no milliseconds. */
function wholeSeconds(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}

async function pemsOf(certificate: x509.X509Certificate, keys: KeyPair) {
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificatePem: toPem("CERTIFICATE", new Uint8Array(certificate.rawData)),
    keyPem: toPem("PRIVATE KEY", new Uint8Array(key)),
  };
}
