/**
 * An LDAP filter in which every value is taken as it is: ldapFilter`(&(uid=${name})(memberOf=${group}))`. Values are
 * escaped as RFC 4515 asks, so a name like `*` or `a)(uid=b` finds nobody but its bearer.
 */
export function ldapFilter(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return String.raw({ raw: parts }, ...values.map((value) => escapeValue(String(value))));
}

function escapeValue(value: string): string {
  return value.replaceAll(/[\\*()\0]/g, (special) => `\\${special.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
