import { ResultCodeError } from "ldapts";

/**
 * What a directory's refusal of somebody's bind means (RFC 4511 section 4.1.9): the person's fault, or an outage.
 * Undefined where it is not known to be the person's fault.
 */
export function refusalOfPerson(error: ResultCodeError): string | undefined {
  switch (error.code) {
    case 49:
      return activeDirectoryReason(error.message) ?? "wrong user name or password";
    case 48:
      return "the entry has no password to check";
    case 32:
    case 34:
      return "the directory has no such entry";
    case 19:
      return `the directory's password policy refuses it: ${told(error)}`;
    case 53:
      // 389 Directory Server and FreeIPA say so of locked accounts; of a server that will not serve, others do.
      return /inactivat|locked|disabled|expired/i.test(error.message) ? told(error) : undefined;
    default:
      return undefined;
  }
}

/** The sub-codes Active Directory puts into its message as `data 52e`; Windows' ERROR_* numbers in hex. */
const activeDirectory: Readonly<Record<string, string>> = {
  "525": "there is no such user",
  "52e": "wrong user name or password",
  "530": "the account may not sign in at this time",
  "531": "the account may not sign in from here",
  "532": "the password has expired",
  "533": "the account is disabled",
  "701": "the account has expired",
  "773": "the password must be changed first",
  "775": "the account is locked",
};

function activeDirectoryReason(message: string): string | undefined {
  const code = /\bdata ([0-9a-f]{3,4})\b/i.exec(message)?.[1]?.toLowerCase();
  return code === undefined ? undefined : activeDirectory[code];
}

/** The directory's own words, on one line and bounded, with the result code. */
export function told(error: ResultCodeError): string {
  const words = error.message
    .replace(/ Code: 0x[0-9a-f]+$/, "")
    .replace(/\p{Cc}+/gu, " ")
    .trim();
  return `${words.slice(0, 200).toWellFormed()} (LDAP result ${error.code})`.trimStart();
}

export const isRefusal = (error: unknown): error is ResultCodeError => error instanceof ResultCodeError;
