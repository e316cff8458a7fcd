import { type Filter, FilterParser } from "ldapts";

/**
 * Escapes a value for use in a DN (RFC 4514 section 2.4), so that no user name can become another part of it.
 * Values for filters need no escaping here: filters are built as objects, never as text.
 */
export function escapeDnValue(value: string): string {
  return value
    .replace(/^[ #]|(?!^) $|[\\,+"<>;=]/g, "\\$&")
    .replace(/\p{Cc}/gu, (char) => Buffer.from(char).toString("hex").replace(/../g, "\\$&"));
}

/**
 * A filter in its text form (RFC 4515). More is read than the library reads: escaped UTF-8 bytes (`\c3\a9`), blanks
 * between the parts, an attribute with options or named by its OID. Throws an Error that says what is wrong.
 */
export function parseFilter(text: string): Filter {
  const plain = text
    .trim()
    .replace(/\)\s+(?=[()])/g, ")")
    .replace(/\(\s*([&|!])\s+(?=\()/g, "($1")
    .replace(/(?:\\[89a-f][0-9a-f])+/gi, (bytes) => decodeUtf8(bytes));
  if (plain.includes("\0")) throw new Error("a NUL is written \\00");
  return FilterParser.parseString(plain);
}

function decodeUtf8(escaped: string): string {
  const bytes = Buffer.from(escaped.replaceAll("\\", ""), "hex");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Error(`${escaped} is not UTF-8`);
  }
}

/** Whether two values name the same in the directory's eyes: without regard to case and surplus blanks. */
export function sameName(one: string, other: string): boolean {
  const plain = (text: string) => text.normalize("NFKC").trim().replace(/\s+/g, " ").toLowerCase();
  return plain(one) === plain(other);
}
