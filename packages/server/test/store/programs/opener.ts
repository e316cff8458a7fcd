import { openSqlite } from "../../../src/store/sqlite.ts";
import { at } from "../suite/rows.ts";

/** Opens the database, leaves its process id as a user in it, and closes it. */
const [file = ""] = process.argv.slice(2);
const store = await openSqlite({ file });
await store.accounts.addUser({ id: String(process.pid), passwordDigest: null, at: at(0) });
await store.close();
