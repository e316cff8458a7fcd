import { getCACertificates, rootCertificates } from "node:tls";

/** Errors of a certificate that no known authority signed. */
const unknownAuthority = [
  ...["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "UNABLE_TO_GET_ISSUER_CERT"],
  ...["SELF_SIGNED_CERT_IN_CHAIN", "DEPTH_ZERO_SELF_SIGNED_CERT"],
];

export function isOfUnknownAuthority(error: unknown): boolean {
  return unknownAuthority.includes((error as NodeJS.ErrnoException).code ?? "");
}

/**
 * Asks with the public authorities and the one given, and once more with those that the machine's owner added, which
 * take a tenth of a second to read.
 */
export async function withAuthorities<Answer>(
  caPem: string | null,
  ask: (authorities: string[]) => Promise<Answer>,
): Promise<Answer> {
  const known = [...rootCertificates, ...(caPem === null ? [] : [caPem])];
  try {
    return await ask(known);
  } catch (error) {
    if (!isOfUnknownAuthority(error)) throw error;
    return await ask([...known, ...getCACertificates("default"), ...getCACertificates("system")]);
  }
}
