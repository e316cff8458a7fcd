import { X509Certificate } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";

/** What the command line prints of a connection. */
export type ConnectionRow = {
  id: string;
  userId: string;
  profileId: string;
  connectionId: string;
  state: string;
  ipv4: string | null;
  ipv6: string | null;
  admittedAt: string | null;
  endReason: string | null;
  endDetail: string | null;
  disconnectEventId: string;
  connectEventId: string;
  bytesIn: number;
  bytesOut: number;
};

/** Addresses that somebody holds, read from the database itself: nothing on the command line lists them. */
export async function heldAddresses(dataDirectory: string): Promise<string[]> {
  const [file] = (await readdir(dataDirectory)).filter((name) => /\.(db|sqlite3?)$/.test(name));
  if (file === undefined) throw new Error(`there is no database in ${dataDirectory}`);
  const database = new Database(join(dataDirectory, file), { readonly: true });
  try {
    return (database.prepare("select address from addresses order by address").all() as { address: string }[]).map(
      (row) => row.address,
    );
  } finally {
    database.close();
  }
}

/** The common name of the certificate inside a client config. */
export function commonNameOf(ovpnText: string): string {
  const pem = ovpnText.match(/<cert>\s*([\s\S]*?)\s*<\/cert>/)?.[1] ?? "";
  return new X509Certificate(pem).subject.match(/^CN=(.*)$/m)?.[1] ?? "";
}
