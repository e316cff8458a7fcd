import { readdir, readFile, readlink, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const root = "/proc/sys/net";
const ipv4Forwarding = "ipv4/ip_forward";
const ipv6Forwarding = "ipv6/conf/all/forwarding";

type Change = { key: string; was: string; set: string };
/** What we changed, and in which life of the machine and which network namespace. */
type Record = { where: string; changes: Change[] };

/**
 * The kernel's switches for forwarding, set only where they are off, and set back at the end where they are still as
 * we left them. What was changed is kept in a file, so that it is known after a kill -9 too.
 */
export class Sysctls {
  readonly #file: string;
  #record: Record | null = null;

  constructor(file: string) {
    this.#file = file;
  }

  async want(families: { ipv4: boolean; ipv6: boolean }): Promise<void> {
    const where = await whereWeAre();
    const record = await this.#read();
    this.#record = record?.where === where ? record : { where, changes: [] };
    const wanted = [...(families.ipv4 ? [ipv4Forwarding] : []), ...(families.ipv6 ? [ipv6Forwarding] : [])];
    for (const { key } of this.#record.changes) {
      const family = key.startsWith("ipv4") ? families.ipv4 : families.ipv6;
      if (!family) await this.#setBack(key);
    }
    for (const key of wanted) {
      if ((await value(key)) !== "0") continue;
      // An interface that learns its default route from router advertisements would forget it as soon as it forwards.
      if (key === ipv6Forwarding) await this.#keepAdvertisedRoutes();
      await this.#set(key, "1");
    }
  }

  async restore(): Promise<void> {
    for (const { key } of [...(this.#record?.changes ?? [])].reverse()) await this.#setBack(key);
    await rm(this.#file, { force: true });
  }

  async #keepAdvertisedRoutes(): Promise<void> {
    const interfaces = await readdir(join(root, "ipv6/conf")).catch(() => []);
    for (const name of interfaces.filter((one) => one !== "all" && one !== "default" && one !== "lo")) {
      const key = `ipv6/conf/${name}/accept_ra`;
      if ((await value(key)) === "1") await this.#set(key, "2");
    }
  }

  async #set(key: string, to: string): Promise<void> {
    const was = await value(key);
    if (was === undefined || this.#record === null) return;
    this.#record.changes.push({ key, was, set: to });
    // Known before it is done: a change that nobody remembers is worse than one remembered that never was.
    await this.#write();
    await writeFile(join(root, key), to);
  }

  async #setBack(key: string): Promise<void> {
    const change = this.#record?.changes.find((one) => one.key === key);
    if (change === undefined || this.#record === null) return;
    if ((await value(key)) === change.set) await writeFile(join(root, key), change.was).catch(() => undefined);
    this.#record.changes = this.#record.changes.filter((one) => one !== change);
    await this.#write();
  }

  async #read(): Promise<Record | undefined> {
    try {
      return JSON.parse(await readFile(this.#file, "utf8")) as Record;
    } catch {
      return undefined;
    }
  }

  async #write(): Promise<void> {
    await writeFile(`${this.#file}.new`, `${JSON.stringify(this.#record)}\n`, { mode: 0o600 });
    await rename(`${this.#file}.new`, this.#file);
  }
}

/** Undefined where the kernel has no such switch (no IPv6, an interface that went). */
async function value(key: string): Promise<string | undefined> {
  const text = await readFile(join(root, key), "utf8").catch(() => undefined);
  return text?.trim();
}

/** Whether the kernel forwards, by family; null where it does not know the family. */
export async function forwards(): Promise<{ ipv4: boolean | null; ipv6: boolean | null }> {
  const [ipv4, ipv6] = await Promise.all([value(ipv4Forwarding), value(ipv6Forwarding)]);
  return { ipv4: ipv4 === undefined ? null : ipv4 !== "0", ipv6: ipv6 === undefined ? null : ipv6 !== "0" };
}

async function whereWeAre(): Promise<string> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return `${boot.trim()} ${await readlink("/proc/self/ns/net")}`;
}
