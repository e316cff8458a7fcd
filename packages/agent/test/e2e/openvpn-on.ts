import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The machine's openvpn, saying that it runs on another platform: the word in its peer info, and nothing else. */
export async function openVpnOn(platform: string, directory: string): Promise<string> {
  const bytes = await readFile("/usr/sbin/openvpn");
  const at = bytes.indexOf("IV_PLAT=linux\n\0");
  if (at <= 0) throw new Error("this openvpn does not say its platform as 2.6 does");
  bytes.fill(0, at, at + 15);
  bytes.write(`IV_PLAT=${platform}\n`, at);
  const path = join(directory, `openvpn-${platform}`);
  await writeFile(path, bytes, { mode: 0o755 });
  return path;
}
