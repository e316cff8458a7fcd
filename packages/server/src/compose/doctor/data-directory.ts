import { X509Certificate } from "node:crypto";
import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../../config/config.ts";
import { freeSpace } from "../free-space.ts";
import { type Finding, fault, ok, warning } from "./finding.ts";
import { exists, reasonOf } from "./machine.ts";

const leastFreeBytes = 100 * 1024 * 1024;
const comfortableFreeBytes = 1024 * 1024 * 1024;
const soonMs = 30 * 86_400_000;

/** The data directory: its modes, its room, its database and its certificates. Changes nothing there. */
export async function examineDataDirectory(config: Config): Promise<Finding[]> {
  const { dataDirectory } = config;
  const found = await stat(dataDirectory).catch((error: unknown) => reasonOf(error));
  if (typeof found === "string") {
    const next = "Run `sallyport setup`, which makes it.";
    return [fault("data-directory", `${dataDirectory} cannot be looked into (${found})`, next)];
  }
  const room = await freeSpace(dataDirectory);
  return [
    examineModes(dataDirectory, found),
    examineRoom(dataDirectory, room.freeBytes),
    await examineDatabase(join(dataDirectory, "sallyport.db"), room.forDatabase),
    ...(await examineCertificates(config)),
  ];
}

function examineModes(directory: string, { mode, uid }: { mode: number; uid: number }): Finding {
  const modes = (mode & 0o777).toString(8);
  if (uid !== process.getuid?.()) {
    const next = `chown it to the account the daemon runs as: chown root ${directory}`;
    return fault("data-directory", `${directory} belongs to account ${uid}`, next);
  }
  // Others may pass through, but neither list nor write.
  if ((mode & 0o066) !== 0) {
    const next = `chmod 711 ${directory}`;
    return fault("data-directory", `${directory} can be read or written by others (mode ${modes})`, next);
  }
  return ok("data-directory", `${directory} is closed to others (mode ${modes})`);
}

function examineRoom(directory: string, freeBytes: number): Finding {
  const text = `${Math.floor(freeBytes / 1024 / 1024)} MiB are free in ${directory}`;
  if (freeBytes >= comfortableFreeBytes) return ok("free-space", text);
  const next = "Make room: when the disk is full nobody can be let in.";
  return freeBytes < leastFreeBytes ? fault("free-space", text, next) : warning("free-space", text, next);
}

async function examineDatabase(file: string, hasRoom: boolean): Promise<Finding> {
  if (!(await exists(file))) {
    return warning("database", `${file} is not there yet`, "Start the daemon, or run `sallyport setup`: they make it.");
  }
  try {
    await (await open(file, "r+")).close();
  } catch (error) {
    const next = "Give it back to the account the daemon runs as, and remount the disk writable if it is not.";
    return fault("database", `${file} cannot be written (${reasonOf(error)})`, next);
  }
  if (!hasRoom) {
    const next = "Make room on its disk; nothing else needs to be done, the daemon goes on by itself.";
    return fault("database", `${file} cannot be written: its disk is full`, next);
  }
  const loose = ((await stat(file)).mode & 0o077) !== 0;
  if (loose) return warning("database", `${file} can be read by others`, `chmod 600 ${file}`);
  return ok("database", `${file} can be written`);
}

async function examineCertificates({ dataDirectory, profiles }: Config): Promise<Finding[]> {
  const pki = join(dataDirectory, "pki");
  if (!(await exists(pki))) {
    return [warning("authority", "there is no certificate authority yet", "Start the daemon, which makes one.")];
  }
  const found = [await examineCertificate("authority", "the CA", join(pki, "authority", "ca.crt"), caNext)];
  for (const { id, tunnel } of profiles) {
    if (tunnel.protocol !== "openvpn" || tunnel.mode !== "managed") continue;
    const home = join(pki, "servers", id);
    const kept = (await readdir(home).catch(() => [])).filter((name) => !name.startsWith("."));
    const files = kept.map((name) => join(home, name, "server.crt"));
    const serving = await servingOf(files);
    if (serving === undefined) {
      const next = "Start the daemon, which makes it.";
      found.push(warning(`certificate.${id}`, `${id} has no server certificate yet`, next));
    } else found.push(await examineCertificate(`certificate.${id}`, `the server of ${id}`, serving, serverNext));
  }
  return found;
}

const caNext = "Move the pki directory away, restart the daemon, and issue every client config anew.";
const serverNext = "Restart the daemon: it renews certificates that end soon or are not in force.";

const lower = (sentence: string) => sentence.charAt(0).toLowerCase() + sentence.slice(1);

/** Whether a certificate is in force now, and for another month. */
export async function examineCertificate(id: string, whose: string, file: string, next: string): Promise<Finding> {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(await readFile(file));
  } catch (error) {
    return fault(id, `the certificate of ${whose}, ${file}, cannot be read (${reasonOf(error)})`, next);
  }
  const [from, until] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
  const left = until.getTime() - Date.now();
  const day = until.toISOString().slice(0, 10);
  if (from.getTime() > Date.now()) {
    const set = `Set the clock. If it was wrong only when this certificate was made: ${lower(next)}`;
    return fault(id, `the certificate of ${whose} begins at ${from.toISOString()}, which is still to come`, set);
  }
  if (left <= 0) return fault(id, `the certificate of ${whose} ended on ${day}`, next);
  if (left < soonMs) return warning(id, `the certificate of ${whose} ends on ${day}`, next);
  return ok(id, `the certificate of ${whose} is good until ${day}`);
}

/** As the daemon chooses: of those in force the one that is good the longest. */
async function servingOf(files: readonly string[]): Promise<string | undefined> {
  let best: { file: string; inForce: boolean; until: number } | undefined;
  for (const file of files) {
    const found = await readCertificate(file);
    const inForce = found !== undefined && Date.parse(found.validFrom) <= Date.now();
    const until = found === undefined ? 0 : Date.parse(found.validTo);
    const better = best === undefined || (inForce === best.inForce ? until > best.until : inForce);
    if (better) best = { file, inForce, until };
  }
  return best?.file;
}

async function readCertificate(file: string): Promise<X509Certificate | undefined> {
  try {
    return new X509Certificate(await readFile(file));
  } catch {
    return undefined;
  }
}
