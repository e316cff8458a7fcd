import { randomBytes } from "node:crypto";
import { link, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { Log } from "../core/log.ts";
import { createSealing, sealingKeyBytes } from "../core/sealing.ts";
import { sealedStore } from "../store/sealed.ts";
import { openSqlite } from "../store/sqlite.ts";
import type { Store } from "../store/store.ts";

/** The database of a configuration; `setup` needs it alone. */
export async function openStore(config: Config, log: Log): Promise<Store> {
  if (config.database.engine !== "sqlite") {
    throw new SallyportError(
      "config-invalid",
      `this version keeps its data in SQLite; ${config.file} asks for another`,
    );
  }
  const keyFile = join(config.dataDirectory, "sealing.key");
  const sealing = createSealing(await sealingKey(keyFile));
  const onLoss = (loss: object) => log.error(loss, "attempts could not be recorded and were dropped");
  const onUnreadable = (what: string) =>
    log.error({ what, keyFile }, "what was kept cannot be opened: the key file is another; the user signs in again");
  const store = await openSqlite({ file: join(config.dataDirectory, "sallyport.db"), attempts: { onLoss } });
  return sealedStore(store, { sealing, onUnreadable });
}

/** Made where there is none, whole or not at all, and never in another's place: a restart opens what was sealed before. */
async function sealingKey(file: string): Promise<Uint8Array> {
  const existing = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (existing === undefined) {
    const written = `${file}.${newId()}`;
    await writeFile(written, randomBytes(sealingKeyBytes), { mode: 0o600, flush: true });
    await link(written, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    await rm(written);
    return await sealingKey(file);
  }
  if (existing.length === sealingKeyBytes) return existing;
  const next = "restore it from a backup, or remove it: whoever is asked a question at the moment then signs in again";
  throw new SallyportError("config-invalid", `${file} does not hold ${sealingKeyBytes} bytes; ${next}`);
}
