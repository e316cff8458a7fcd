import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "../../src/store/sqlite.ts";
import { storeSuite } from "./store-suite.ts";

storeSuite("SQLite", async () => {
  const directory = await mkdtemp(join(tmpdir(), "store-"));
  const store = await openSqlite({ file: join(directory, "sallyport.db") });
  return {
    store,
    cleanup: async () => {
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
});
