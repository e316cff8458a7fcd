import type { z } from "zod";
import { Secret } from "../core/secret.ts";
import type { HookTarget } from "./config.ts";
import type { Path } from "./faults.ts";
import { addFault, type Reading } from "./reading.ts";
import type { hookSchemas } from "./schema.ts";
import { readSecretFile } from "./secrets.ts";

type Written = z.output<typeof hookSchemas.radiusAccounting>["radiusAccounting"];
type WrittenServer = Written["failover"][number];
type Target = Extract<HookTarget, { kind: "radiusAccounting" }>;

/** The servers of accounting in the order they are asked, their secrets read. */
export async function radiusAccountingTarget(reading: Reading, written: Written, path: Path): Promise<Target> {
  const { failover, interimSeconds, ...first } = written;
  const read = [
    serverOf(reading, first, path),
    ...failover.map((server, index) => serverOf(reading, server, [...path, "failover", index])),
  ];
  const servers = (await Promise.all(read)).filter((server) => server !== undefined);
  return { kind: "radiusAccounting", servers, interimMs: interimSeconds * 1_000 };
}

async function serverOf(
  reading: Reading,
  { server: host, port, secret, secretFile }: WrittenServer,
  path: Path,
): Promise<Target["servers"][number] | undefined> {
  const at = [...path, "secretFile"];
  if ((secret === undefined) === (secretFile === undefined)) {
    const found = secret === undefined ? "neither" : "both";
    addFault(reading, { path: secret === undefined ? path : at, expected: "one of secret and secretFile", found });
    return undefined;
  }
  const read = secretFile === undefined ? new Secret(secret ?? "") : await readSecretFile(reading, at, secretFile);
  return read && { host, port, secret: read };
}
