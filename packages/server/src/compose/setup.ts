import { randomInt } from "node:crypto";
import { existsSync } from "node:fs";
import { access, mkdir, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { dirname } from "node:path";
import { createDirectory } from "../accounts/directory.ts";
import { createPasswords } from "../accounts/passwords.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { Secret } from "../core/secret.ts";
import { openLog } from "./log.ts";
import { openStore } from "./store.ts";

/** What a new installation is told once. `administrator` is null where there was one already. */
export type Installation = {
  configFile: string;
  configMade: boolean;
  dataDirectory: string;
  url: string;
  administrator: { name: string; password: string } | null;
};

/** Makes a configuration and a first administrator where there are none; changes nothing that is there. */
export async function setup(configFile: string): Promise<Installation> {
  const configMade = await writeFirstConfig(configFile);
  const config = await loadConfig({ file: configFile, environment: process.env });
  await mkdir(config.dataDirectory, { recursive: true, mode: 0o711 });
  const administrator = await firstAdministrator(config);
  return {
    configFile: config.file,
    configMade,
    dataDirectory: config.dataDirectory,
    url: config.http.publicUrl,
    administrator,
  };
}

async function firstAdministrator(config: Config): Promise<Installation["administrator"]> {
  const store = await openStore(config, openLog("warn"));
  try {
    if ((await store.accounts.users()).length > 0) return null;
    const directory = createDirectory({ store: store.accounts, passwords: createPasswords() });
    const name = "admin";
    const password = readablePassword();
    if (!(await directory.addUser({ id: name, password: new Secret(password) }))) return null;
    await directory.setProperties({ kind: "user", name }, { prop_superuser: "true" });
    return { name, password };
  } finally {
    await store.close();
  }
}

async function writeFirstConfig(file: string): Promise<boolean> {
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) return false;
  await mkdir(dirname(file), { recursive: true, mode: 0o755 });
  // "wx": somebody who made one this very moment keeps theirs.
  await writeFile(file, firstConfig(ownAddress(), freeInterface()), { mode: 0o600, flag: "wx" });
  return true;
}

function firstConfig(host: string, wireguard: string): string {
  return `# Sallyport's configuration; docs/config.md explains every key. Faults are named with their line at the next start.
dataDirectory: /var/lib/sallyport
database: sqlite

# What clients connect to. Put a name here that they can resolve.
node: { number: 0, url: "https://${host}:8443", hostName: "${host}" }
http: { listen: "0.0.0.0:8443", publicUrl: "https://${host}:8443" }

# A program that is run when somebody connects (and may refuse) and when they leave; see docs/hooks.md.
# connectScriptPath: /usr/local/bin/my_script.sh

profiles:
  - id: office
    displayName: Office
    openvpn: { managed: { listen: ["udp/1194"] } }
    ranges: { ipv4: 10.42.0.0/20, ipv6: "fd42:1::/64" }
    # Networks that clients reach through the tunnel, and the resolvers they use:
    # routes: [10.0.0.0/8]
    # dns: [10.0.0.53]
  - id: mobile
    displayName: Mobile
    wireguard: { managed: { interface: ${wireguard}, listenPort: 51820 } }
    ranges: { ipv4: 10.43.0.0/20, ipv6: "fd43:1::/64" }
`;
}

/** The first address of this machine that others may reach it at; an administrator puts a name in its place. */
function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ internal, family }) => !internal && family === "IPv4")?.address ?? "127.0.0.1";
}

/** An interface name that nobody has: wireguard-go's sockets tell of those in other network namespaces too. */
function freeInterface(): string {
  const taken = (name: string) => existsSync(`/sys/class/net/${name}`) || existsSync(`/var/run/wireguard/${name}.sock`);
  const names = Array.from({ length: 100 }, (_, i) => `wg${i}`);
  return names.find((name) => !taken(name)) ?? "wg0";
}

/** 20 characters of 32 that cannot be taken for one another: 100 bits. */
function readablePassword(): string {
  const alphabet = "abcdefghijkmnpqrstuvwxyz23456789";
  const characters = Array.from({ length: 20 }, () => alphabet[randomInt(alphabet.length)]);
  return [0, 5, 10, 15].map((from) => characters.slice(from, from + 5).join("")).join("-");
}
