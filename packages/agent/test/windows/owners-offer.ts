import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ClientScript, newSigningKey } from "@sallyport/protocol";

/**
 * On `C:` the client config of a server that the owner is to know, `office.ovpn`, and with its key what
 * service-clients.ts hands in for users, `offer.json`.
 */
export async function writeOffer(drive: string, scripts: readonly ClientScript[]): Promise<void> {
  const key = newSigningKey();
  await writeFile(
    join(drive, "office.ovpn"),
    `# SALLYPORT_AGENT_URL https://vpn.example.org:8443\n# SALLYPORT_AGENT_KEY ${key.publicKey}\n# SALLYPORT_SERVER_ID server-1\nclient\nremote vpn.example.org\n`,
  );
  const pem = (one: typeof key) => one.privateKey.export({ type: "pkcs8", format: "pem" });
  await writeFile(
    join(drive, "offer.json"),
    JSON.stringify({ key: { ...key, privateKey: undefined, pem: pem(key) }, other: pem(newSigningKey()), scripts }),
  );
}
