import { migrate } from "../migrate.ts";
import { SqliteEngine } from "./engine.ts";

/** Opens a database, or makes it, at this program's schema; nothing stays open where that fails. */
export async function openEngine(opening: ConstructorParameters<typeof SqliteEngine>[0]): Promise<SqliteEngine> {
  const engine = new SqliteEngine(opening);
  try {
    await migrate(engine.query, { name: opening.file });
    return engine;
  } catch (error) {
    await engine.close();
    throw error;
  }
}
