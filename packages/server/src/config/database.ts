import { Secret } from "../core/secret.ts";
import type { Config } from "./config.ts";
import { addFault, type Reading, take } from "./reading.ts";
import { databaseSchemas } from "./schema.ts";
import { readSecretFile } from "./secrets.ts";

/** `sqlite`, a PostgreSQL URL, or a URL beside the file its password is in. */
export async function readDatabase(reading: Reading, value: unknown): Promise<Config["database"] | undefined> {
  const path = ["database"];
  if (value === undefined) return { engine: "sqlite" };
  if (typeof value !== "object" || value === null) {
    const text = take(reading, databaseSchemas.text, value, path);
    if (text === undefined) return undefined;
    return text === "sqlite" ? { engine: "sqlite" } : { engine: "postgres", url: new Secret(text) };
  }
  const written = take(reading, databaseSchemas.mapping, value, path);
  if (!written) return undefined;
  const url = new URL(written.url);
  if (written.passwordFile !== undefined) {
    const at = [...path, "passwordFile"];
    if (url.password !== "") addFault(reading, { path: at, expected: "one password", found: "another in the url" });
    const password = await readSecretFile(reading, at, written.passwordFile);
    if (!password) return undefined;
    url.password = encodeURIComponent(password.reveal());
  }
  return { engine: "postgres", url: new Secret(url.href) };
}
