import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import type { z } from "zod";
import type { Config } from "./config.ts";
import { checkTogether } from "./cross-checks.ts";
import { readDatabase } from "./database.ts";
import { type ConfigFault, configInvalid, describeValue } from "./faults.ts";
import { connectScriptHook, type PlacedHook, readHook } from "./hooks.ts";
import { type NotYet, notYet, refuseNotYet } from "./not-yet.ts";
import { type PlacedProfile, readProfile } from "./profiles.ts";
import { warnOfMissingPrograms } from "./programs.ts";
import { readText } from "./read-text.ts";
import { addFault, addUnknownKey, addWarning, type Reading, take } from "./reading.ts";
import { topKeys, topSchemas } from "./schema.ts";
import { readSecretFile } from "./secrets.ts";
import { readYaml } from "./yaml-tree.ts";

export type ConfigSource = {
  file: string;
  /** Where `${VARIABLES}` come from: `process.env`. */
  environment: Readonly<Record<string, string | undefined>>;
  /** What this version refuses; tests of what comes later pass less. */
  refused?: readonly NotYet[];
};

const largestFileBytes = 256 * 1024;
const mostHooks = 50;
const mostProfiles = 64;

/**
 * Reads and checks the whole configuration.
 * @throws SallyportError `config-invalid`, whose message lists every fault with its line.
 */
export async function loadConfig(source: ConfigSource): Promise<Config> {
  const result = await readConfig(source);
  if ("faults" in result) throw configInvalid(resolve(source.file), result.faults);
  return result.config;
}

/** As `loadConfig`, with the faults as data. */
export async function readConfig(source: ConfigSource): Promise<{ config: Config } | { faults: ConfigFault[] }> {
  const file = resolve(source.file);
  const content = await readText(file, largestFileBytes);
  const whole = { key: "", line: null, column: null };
  if ("trouble" in content) return { faults: [{ ...whole, expected: "a readable file", found: content.trouble }] };
  const { tree, faults } = readYaml(content.text, source.environment);
  if (!tree) return { faults };
  const reading: Reading = { tree, directory: dirname(file), faults, warnings: [] };
  const config = await readTree(reading, file);
  refuseNotYet(reading, source.refused ?? notYet);
  if (config && faults.length === 0) return { config };
  return { faults: faults.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)) };
}

/** Every part is read, however many are wrong, so that all faults are told at once. */
async function readTree(reading: Reading, file: string): Promise<Config | undefined> {
  const top = reading.tree.value;
  for (const key of Object.keys(top)) {
    if (!topKeys.some((known) => known === key)) addUnknownKey(reading, [key], topKeys);
  }
  const part = <T extends z.ZodType>(key: string, schema: T) => take(reading, schema, top[key], [key]);
  const dataDirectory = part("dataDirectory", topSchemas.dataDirectory);
  const node = part("node", topSchemas.node);
  const http = part("http", topSchemas.http);
  const scripts = part("scripts", topSchemas.scripts);
  const lockOut = part("lockOut", topSchemas.lockOut);
  const geoIp = part("geoIp", topSchemas.geoIp);
  const keep = part("keep", topSchemas.keep);
  const connectScript = part("connectScriptPath", topSchemas.connectScriptPath);
  const database = await readDatabase(reading, top.database);

  const hooks: PlacedHook[] = connectScript === undefined ? [] : [connectScriptHook(reading, connectScript)];
  for (const [i, value] of listAt(reading, "hooks", mostHooks).entries()) {
    const hook = await readHook(reading, value, ["hooks", i]);
    if (hook) hooks.push(hook);
  }
  const profiles: PlacedProfile[] = [];
  for (const [i, value] of listAt(reading, "profiles", mostProfiles).entries()) {
    const profile = await readProfile(reading, value, ["profiles", i]);
    if (profile) profiles.push(profile);
  }
  checkTogether(reading, { hooks, profiles, httpListen: http?.listen, scriptDeadlineMs: scripts?.deadlineMs });
  await warnOfMissingPrograms(reading, hooks);
  if (profiles.length === 0) addWarning(reading, ["profiles"], "there is none, so nobody can connect");

  if (!dataDirectory || !database || !node || !http || !scripts || !lockOut || !keep) return undefined;
  const { tokenFile } = http.metrics;
  const metricsToken =
    tokenFile === undefined ? null : await readSecretFile(reading, ["http", "metrics", "tokenFile"], tokenFile);
  if (metricsToken === undefined) return undefined;
  const hostName = node.hostName ?? hostname();
  const url = node.url ?? `https://${hostName.includes(":") ? `[${hostName}]` : hostName}`;
  const fromHere = (path: string) => resolve(reading.directory, path);
  return {
    file,
    dataDirectory: resolve(dataDirectory),
    database,
    node: { number: node.number, url, hostName },
    http: {
      listen: http.listen,
      publicUrl: http.publicUrl ?? url,
      tls: http.tls ? { certificateFile: fromHere(http.tls.cert), keyFile: fromHere(http.tls.key) } : null,
      metrics: { allow: http.metrics.allow, token: metricsToken },
    },
    hooks: hooks.map(({ hook }) => hook),
    scripts: { ...scripts, python: fromHere(scripts.python) },
    lockOut: {
      failures: lockOut.failures,
      addressFailures: lockOut.addressFailures ?? lockOut.failures * 5,
      windowMs: lockOut.windowMinutes * 60_000,
    },
    geoIp: geoIp ? { database: fromHere(geoIp.database) } : null,
    keep,
    profiles: profiles.map(({ profile }) => profile),
    warnings: reading.warnings,
  };
}

function listAt(reading: Reading, key: "hooks" | "profiles", most: number): unknown[] {
  const value = reading.tree.value[key];
  if (value === undefined) return [];
  if (Array.isArray(value) && value.length <= most) return value;
  const found = Array.isArray(value) ? `${value.length} of them` : describeValue(value);
  addFault(reading, { path: [key], expected: `a list of at most ${most} ${key}`, found });
  return [];
}
