import { statfs } from "node:fs/promises";

/** With less, SQLite cannot be sure to write a transaction down. */
const leastForDatabaseBytes = 256 * 1024;

/** What a file system has left for everybody, in bytes, and whether that is enough for the database to be written. */
export async function freeSpace(directory: string): Promise<{ freeBytes: number; forDatabase: boolean }> {
  const { bavail, bsize } = await statfs(directory);
  const freeBytes = bavail * bsize;
  return { freeBytes, forDatabase: freeBytes >= leastForDatabaseBytes };
}
