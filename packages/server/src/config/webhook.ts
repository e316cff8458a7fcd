import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import type { z } from "zod";
import { Secret } from "../core/secret.ts";
import type { HookTarget } from "./config.ts";
import type { Path } from "./faults.ts";
import { readText } from "./read-text.ts";
import { addFault, addWarning, type Reading } from "./reading.ts";
import type { hookSchemas } from "./schema.ts";
import { readSecretFile } from "./secrets.ts";

type Written = z.output<typeof hookSchemas.webhook>;

const longestAuthoritiesBytes = 1024 * 1024;

/** A webhook's own keys; files it names are read here, so that a reload reads them again. */
export async function webhookTarget(reading: Reading, written: Written, path: Path): Promise<HookTarget> {
  const { webhook: url, proxy, circuitBreaker } = written;
  const secret = await secretOf(reading, written, path);
  if (secret === undefined)
    addWarning(
      reading,
      [...path, "webhook"],
      "has no secret or secretFile: its receiver cannot tell who sent an event",
    );
  const { protocol, hostname } = new URL(url);
  if (protocol === "http:" && !/^(localhost|127\..*|\[::1\])$/.test(hostname))
    addWarning(reading, [...path, "webhook"], "is not https: who connects can be read, and answered, on the way");
  const authorities = await authoritiesOf(reading, written, path);
  return { kind: "webhook", url, secret, authorities, proxy, circuitBreaker };
}

async function secretOf(reading: Reading, { secret, secretFile }: Written, path: Path): Promise<Secret | undefined> {
  const at = [...path, "secretFile"];
  if (secret !== undefined && secretFile !== undefined)
    addFault(reading, { path: at, expected: "one of secret and secretFile", found: "both" });
  if (secretFile !== undefined) return await readSecretFile(reading, at, secretFile);
  return secret === undefined ? undefined : new Secret(secret);
}

async function authoritiesOf(reading: Reading, { caFile }: Written, path: Path): Promise<string | undefined> {
  if (caFile === undefined) return undefined;
  const file = resolve(reading.directory, caFile);
  const content = await readText(file, longestAuthoritiesBytes);
  const trouble = "trouble" in content ? content.trouble : certificateTrouble(content.text);
  if (trouble !== undefined || "trouble" in content) {
    const found = trouble ?? "nothing";
    addFault(reading, { path: [...path, "caFile"], expected: `certificates (PEM) in ${file}`, found });
    return undefined;
  }
  return content.text;
}

const certificate = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

function certificateTrouble(text: string): string | undefined {
  const all = text.match(certificate) ?? [];
  if (all.length === 0) return "a file without any";
  try {
    for (const one of all) new X509Certificate(one);
    return undefined;
  } catch {
    return "one that cannot be read";
  }
}
