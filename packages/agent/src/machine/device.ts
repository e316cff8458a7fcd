import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { readOwnFile, replaceFile } from "./private-directory.ts";

const addressForm = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const uuidForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The interface of the default route, from the kernel's table (proc(5)); undefined where there is none. */
export async function defaultInterface(): Promise<string | undefined> {
  const table = await readFile("/proc/net/route", "utf8").catch(() => "");
  const routes = table
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"))
    .filter(([, target, , , , , , mask]) => target === "00000000" && mask === "00000000")
    .toSorted((one, other) => Number(one[6]) - Number(other[6]));
  return routes[0]?.[0];
}

/**
 * What this machine is called towards servers: the hardware address of the default gateway's interface, or, where there
 * is none, a UUID made once and kept.
 */
export async function deviceAddress(kept: string): Promise<string> {
  const name = await defaultInterface();
  const address =
    name === undefined ? "" : (await readFile(`/sys/class/net/${name}/address`, "utf8").catch(() => "")).trim();
  if (addressForm.test(address) && address !== "00:00:00:00:00:00") return address;
  const uid = process.getuid?.() ?? 0;
  const before = (await readOwnFile(kept, { uid, mostBytes: 100 }))?.trim();
  if (before !== undefined && uuidForm.test(before)) return before;
  const made = randomUUID();
  await replaceFile(kept, `${made}\n`);
  return made;
}
