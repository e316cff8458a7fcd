import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { openSqlite } from "../store/sqlite.ts";
import type { Store } from "../store/store.ts";

/** The database of a configuration; `setup` needs it alone. */
export function openStore(config: Config, log: Log): Promise<Store> {
  if (config.database.engine !== "sqlite") {
    throw new SallyportError(
      "config-invalid",
      `this version keeps its data in SQLite; ${config.file} asks for another`,
    );
  }
  const onLoss = (loss: object) => log.error(loss, "attempts could not be recorded and were dropped");
  return openSqlite({ file: join(config.dataDirectory, "sallyport.db"), attempts: { onLoss } });
}
