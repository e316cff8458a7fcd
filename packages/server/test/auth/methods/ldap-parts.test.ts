import * as fc from "fast-check";
import { InvalidCredentialsError, UnavailableError, UnwillingToPerformError } from "ldapts";
import { expect, test } from "vitest";
import { refusalOfPerson, told } from "../../../src/auth/methods/ldap-answers.ts";
import { escapeDnValue, parseFilter, sameName } from "../../../src/auth/methods/ldap-names.ts";
import { directDn } from "../../../src/auth/methods/ldap-person.ts";
import { parseAnswer } from "../../../src/auth/methods/ldap-starttls.ts";

/** Splits a DN at its unescaped commas and unescapes one value, as RFC 4514 reads it. */
function readDn(dn: string): [attribute: string, value: string][] {
  const parts: string[] = [""];
  for (const piece of dn.match(/\\[0-9a-f]{2}|\\.|[^\\]/gsu) ?? []) {
    if (piece === ",") parts.push("");
    else parts[parts.length - 1] += piece;
  }
  return parts.map((part) => {
    const at = part.indexOf("=");
    const bytes = (part.slice(at + 1).match(/\\[0-9a-f]{2}|\\.|[^\\]/gsu) ?? []).map((piece) => {
      if (/^\\[0-9a-f]{2}$/.test(piece)) return Buffer.from(piece.slice(1), "hex");
      return Buffer.from(piece.length > 1 && piece.startsWith("\\") ? piece.slice(1) : piece);
    });
    return [part.slice(0, at), Buffer.concat(bytes).toString()];
  });
}

test("whatever the name, it stays the value of its own part of the DN", () => {
  const hostile = fc.string({ unit: fc.constantFrom(...' #,+"\\<>;=af09\0\n\u007f\u0085é') });
  fc.assert(
    fc.property(fc.oneof(hostile, fc.string({ unit: "binary" })), (name) => {
      fc.pre(name.isWellFormed());
      const dn = directDn("uid={username},ou=people,dc=example", name);
      expect(readDn(dn)).toEqual([
        ["uid", name],
        ["ou", "people"],
        ["dc", "example"],
      ]);
      const value = escapeDnValue(name);
      expect(value).not.toMatch(/^[ #]/);
      expect(value).not.toMatch(/(^|[^\\])(\\\\)* $/);
    }),
  );
});

test.each([
  [" a ", "\\ a\\ "],
  [" ", "\\ "],
  ["#1", "\\#1"],
  ['a,b+c"d\\e<f>g;h=i', 'a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h\\=i'],
  ["a\0\u0085", "a\\00\\c2\\85"],
  ["Zoë", "Zoë"],
])("%j is written %j in a DN", (name, written) => {
  expect(escapeDnValue(name)).toBe(written);
});

test.each([
  ["memberOf=cn=vpn,dc=example", "(memberOf=cn=vpn,dc=example)"],
  ["(cn=Zo\\c3\\ab)", "(cn=Zoë)"],
  ["(& (a=b) (| (c=d) (e=f) ) )", "(&(a=b)(|(c=d)(e=f)))"],
  ["(cn=R \\28U\\29 \\2a\\5c)", "(cn=R \\28U\\29 \\2a\\5c)"],
  ["(memberOf:1.2.840.113556.1.4.1941:=cn=a,dc=b)", "(memberOf:1.2.840.113556.1.4.1941:=cn=a,dc=b)"],
  ["(cn=a& b)", "(cn=a& b)"],
])("the filter %j is read as %j", (text, read) => {
  expect(parseFilter(text).toString()).toBe(read);
});

test.each(["", "(", "(a=b", "(a=b))", "(cn=\\zz)", "(cn=\\ff\\fe)", "((a=b)", "(&)", "hello"])(
  "%j is no filter",
  (text) => {
    expect(() => parseFilter(text)).toThrow();
  },
);

test("names are the same in the directory's eyes whatever their case and surplus blanks", () => {
  expect(sameName("Alice", "aLICE")).toBe(true);
  expect(sameName(" alice  smith", "Alice Smith")).toBe(true);
  expect(sameName("alice", "alicia")).toBe(false);
});

const answer = (code: number) =>
  Buffer.from(`300c0201017807 0a01${code.toString(16).padStart(2, "0")}04000400`.replace(" ", ""), "hex");

test("an answer to StartTLS is read when it is whole", () => {
  const whole = answer(0);
  expect(parseAnswer(whole)).toEqual({ code: 0, message: "" });
  expect(parseAnswer(answer(2))).toEqual({ code: 2, message: "" });
  for (let length = 0; length < whole.length; length++) expect(parseAnswer(whole.subarray(0, length))).toBeUndefined();
});

test("a byte more than the answer to StartTLS, sent in the clear, is refused", () => {
  expect(() => parseAnswer(Buffer.concat([answer(0), Buffer.from("30", "hex")]))).toThrow("in the clear");
});

test("an answer to StartTLS that is none of ours is refused, whatever the bytes", () => {
  expect(() => parseAnswer(Buffer.from("300c02010278070a010004000400", "hex"))).toThrow("another message");
  expect(() => parseAnswer(Buffer.from("300c02010161070a010004000400", "hex"))).toThrow("malformed");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        const read = parseAnswer(Buffer.from(bytes));
        if (read !== undefined) expect([...bytes.slice(0, 1), bytes[2], bytes[5]]).toEqual([0x30, 0x02, 0x78]);
      } catch (error) {
        expect((error as Error).message).toMatch(/StartTLS/);
      }
    }),
  );
});

test.each([
  ["80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 52e, v1db1", "wrong user name"],
  ["80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 532, v1db1", "has expired"],
  ["80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 533, v1db1", "is disabled"],
  ["80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data 775, v1db1", "is locked"],
  ["", "wrong user name"],
])("Active Directory's refusal %j is told in words", (message, words) => {
  expect(refusalOfPerson(new InvalidCredentialsError(message))).toContain(words);
});

test("a directory that will not serve is not the person's fault, one that says the account is locked is", () => {
  expect(refusalOfPerson(new UnavailableError("shutting down"))).toBeUndefined();
  expect(refusalOfPerson(new UnwillingToPerformError("no global superior knowledge"))).toBeUndefined();
  expect(refusalOfPerson(new UnwillingToPerformError("Account inactivated. Contact system administrator."))).toContain(
    "Account inactivated",
  );
});

test("a directory's words are told on one line, bounded", () => {
  const words = told(new UnavailableError(`a\nb\0${"x".repeat(5000)}`));
  expect(words).toMatch(/^a b x+/);
  expect(words.length).toBeLessThan(240);
});
