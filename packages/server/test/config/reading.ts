import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { type ConfigFault, faultText } from "../../src/config/faults.ts";
import { type ConfigSource, readConfig } from "../../src/config/load.ts";

const made: string[] = [];

afterEach(async () => {
  for (const directory of made.splice(0)) await rm(directory, { recursive: true, force: true });
});

/** A directory of its own with a configuration file in it. */
export async function configFile(text: string | Uint8Array): Promise<{ file: string; directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "sallyport-config-"));
  made.push(directory);
  const file = join(directory, "sallyport.yaml");
  await writeFile(file, text);
  return { file, directory };
}

type Options = Partial<Omit<ConfigSource, "file">>;

export async function configOf(text: string, options: Options = {}): Promise<Config> {
  const { file } = await configFile(text);
  const result = await readConfig({ file, environment: {}, ...options });
  if ("faults" in result) throw new Error(`no fault was expected:\n${result.faults.map(faultText).join("\n")}`);
  return result.config;
}

export async function faultsOf(text: string | Uint8Array, options: Options = {}): Promise<ConfigFault[]> {
  const { file } = await configFile(text);
  const result = await readConfig({ file, environment: {}, ...options });
  if ("config" in result) throw new Error("faults were expected, but the configuration was accepted");
  return result.faults;
}

export async function faultTexts(text: string | Uint8Array, options: Options = {}): Promise<string[]> {
  return (await faultsOf(text, options)).map(faultText);
}

/** The least a configuration needs, on two lines. */
export const least = `dataDirectory: /var/lib/sallyport
profiles: [{ id: office, openvpn: { managed: {} }, ranges: { ipv4: 10.42.0.0/20 } }]
`;
