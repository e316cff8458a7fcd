import { quote } from "./faults.ts";

/**
 * Replaces each `${NAME}` by the environment variable of that name; `$${` stands for `${` itself. What cannot be
 * replaced is reported and left as it is.
 */
export function substitute(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
  fault: (expected: string, found: string) => void,
): string {
  return text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (whole, name: string | undefined, close: string) => {
    if (name === undefined) return "${";
    if (close === "" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      fault("a variable's name between dollar-brace and } (two dollars stand for the text itself)", quote(whole));
      return whole;
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value === undefined) fault(`the environment variable ${name} to be set`, "no such variable");
    return value ?? whole;
  });
}
