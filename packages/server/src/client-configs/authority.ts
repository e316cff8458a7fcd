import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { SallyportError } from "../core/errors.ts";
import {
  type Certificate,
  newAuthority,
  newCertificate,
  newRevocationList,
  readSigned,
  readSigner,
  type Signer,
} from "./certificates.ts";
import { isServerKey, newClientKey, newServerKey } from "./tls-crypt-v2.ts";
import { makeWholeDirectory, removeStaleDrafts } from "./whole-directory.ts";

const dayMs = 86_400_000;
const authorityValidForMs = 20 * 365 * dayMs;
const serverValidForMs = 10 * 365 * dayMs;
/** Apple's limit for what it accepts of anybody. */
const webServerValidForMs = 397 * dayMs;
/** A server certificate is replaced, at a start, when less than this is left of it. */
const renewBeforeMs = 365 * dayMs;
const revocationListValidForMs = 30 * dayMs;

/** Absolute paths of what an OpenVPN server of a profile needs. */
export type ServerFiles = { ca: string; certificate: string; key: string; tlsCryptV2Key: string };

/** Our own certificate authority: a directory with its keys. */
export interface Authority {
  /** For client configs. */
  readonly caPem: string;
  readonly notAfter: Date;
  /** Makes the profile's server certificate where there is none, or where it ends within a year. */
  serverFiles(profileId: string): Promise<ServerFiles>;
  /** A device's key and certificate, and its key for `tls-crypt-v2`. Nothing of it is kept. */
  newDevice(terms: { commonName: string; validForMs: number }): Promise<Certificate & { tlsCryptV2Pem: string }>;
  /** A key and a certificate for a web server of these names, the first of them its subject. Nothing of it is kept. */
  newWebServer(terms: { names: readonly string[] }): Promise<Certificate>;
  /** For `crl-verify` of servers that others run: PEM, labelled as OpenSSL expects, good for 30 days. */
  revocationList(revoked: readonly { serial: string; revokedAt: string }[]): Promise<string>;
}

const names = {
  ca: "ca.crt",
  key: "ca.key",
  tlsCryptV2Key: "tls-crypt-v2-server.key",
} as const;

/**
 * Opens the authority in a directory, or makes one there on first use: whole or not at all, also when two processes do
 * so at once or one is killed. Only its owner may read it (0700, 0600); looser modes are put right.
 * @throws SallyportError `conflict` where what is there cannot be used. It is never replaced: every device out there
 * trusts it.
 */
export async function openAuthority(options: { directory: string; now?: () => Date }): Promise<Authority> {
  const directory = resolve(options.directory);
  const now = options.now ?? (() => new Date());
  const own = join(directory, "authority");
  const servers = join(directory, "servers");
  for (const path of [directory, servers]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await chmod(path, 0o700);
  }
  await removeStaleDrafts(directory, new Date());
  if (!(await readdir(directory)).includes("authority")) await makeAuthority(directory, now());
  const { signer, caPem, serverKeyPem } = await readAuthority(own, now());
  const shared = { ca: join(own, names.ca), tlsCryptV2Key: join(own, names.tlsCryptV2Key) };

  return {
    caPem,
    notAfter: signer.certificate.notAfter,

    async serverFiles(profileId) {
      const commonName = serverName(profileId);
      const home = join(servers, profileId);
      await mkdir(home, { recursive: true, mode: 0o700 });
      const at = now();
      const found = await newestServer(signer, home, { commonName, at });
      const place = found ?? join(home, await makeServer(signer, home, { commonName, now: at }));
      return { ...shared, certificate: join(place, "server.crt"), key: join(place, "server.key") };
    },

    async newDevice({ commonName, validForMs }) {
      const at = now();
      const device = await newCertificate(signer, { commonName, usage: "client", now: at, validForMs });
      return { ...device, tlsCryptV2Pem: newClientKey(serverKeyPem, at) };
    },

    newWebServer: ({ names }) =>
      newCertificate(signer, {
        commonName: names[0] ?? "Sallyport",
        usage: "server",
        names,
        now: now(),
        validForMs: webServerValidForMs,
      }),

    revocationList: (revoked) =>
      newRevocationList(signer, { revoked, now: now(), validForMs: revocationListValidForMs }),
  };
}

/** The name in a profile's server certificate, which its client configs insist on. */
export function serverName(profileId: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(profileId))
    throw new SallyportError("invalid-input", "a profile's id is of up to 32 letters, digits, '.', '_' and '-'");
  return `sallyport-server-${profileId}`;
}

async function makeAuthority(directory: string, now: Date): Promise<void> {
  // A number of its own in the name: whoever has several installations can tell their authorities apart.
  const commonName = `Sallyport CA ${randomBytes(4).toString("hex")}`;
  const made = await newAuthority({ commonName, now, validForMs: authorityValidForMs });
  await makeWholeDirectory(directory, "authority", {
    [names.ca]: made.certificatePem,
    [names.key]: made.keyPem,
    [names.tlsCryptV2Key]: newServerKey(),
  });
}

async function readAuthority(own: string, now: Date): Promise<{ signer: Signer; caPem: string; serverKeyPem: string }> {
  const unusable = (why: string, cause?: unknown) =>
    new SallyportError(
      "conflict",
      `the certificate authority in ${own} cannot be used: ${why}; restore it from a backup`,
      {
        cause,
      },
    );
  const read = async (name: string) => {
    const path = join(own, name);
    try {
      await chmod(path, 0o600);
      return await readFile(path, "utf8");
    } catch (error) {
      throw unusable(`${name} cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
    }
  };
  const caPem = await read(names.ca);
  const keyPem = await read(names.key);
  const serverKeyPem = await read(names.tlsCryptV2Key);
  if (!isServerKey(serverKeyPem)) throw unusable(`${names.tlsCryptV2Key} is no tls-crypt-v2 server key`);
  const signer = await readSigner(caPem, keyPem).catch((error: unknown) => {
    throw unusable(`${names.ca} and ${names.key} are damaged or do not belong together`, error);
  });
  if (signer.certificate.notAfter <= now) throw unusable(`it expired at ${signer.certificate.notAfter.toISOString()}`);
  return { signer, caPem, serverKeyPem };
}

/** Of the profile's server certificates in force the one that is good the longest, if that is long enough. */
async function newestServer(
  signer: Signer,
  home: string,
  wanted: { commonName: string; at: Date },
): Promise<string | undefined> {
  let best: { place: string; notAfter: Date } | undefined;
  for (const name of await readdir(home)) {
    const place = join(home, name);
    const pem = await readFile(join(place, "server.crt"), "utf8").catch(() => "");
    const found = await readSigned(signer, pem);
    // One that was made while the clock was ahead would keep everybody out until then.
    if (found?.commonName !== wanted.commonName || found.notBefore > wanted.at) continue;
    if (!best || found.notAfter > best.notAfter) best = { place, notAfter: found.notAfter };
  }
  const until = new Date(wanted.at.getTime() + renewBeforeMs);
  const longEnough = best && (best.notAfter > until || best.notAfter >= signer.certificate.notAfter);
  return longEnough ? best?.place : undefined;
}

/** Each in a directory of its own, named after its serial: a running server's files never change under it. */
async function makeServer(signer: Signer, home: string, terms: { commonName: string; now: Date }): Promise<string> {
  const made = await newCertificate(signer, { ...terms, usage: "server", validForMs: serverValidForMs });
  await makeWholeDirectory(home, made.serial, { "server.crt": made.certificatePem, "server.key": made.keyPem });
  return made.serial;
}
