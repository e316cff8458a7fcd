import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSqlite } from "../../../src/store/sqlite.ts";
import { anAttempt, at } from "../suite/rows.ts";

/** Writes until the disk of its directory is full, looks at what works then, makes room, and says what came of it. */
const [directory = "", filler = "0"] = process.argv.slice(2);
if (Number(filler) > 0) await writeFile(join(directory, "filler"), Buffer.alloc(Number(filler)));
const lost: unknown[] = [];
const attempts = { onLoss: (loss: unknown) => lost.push(loss), retryMs: 20 };
const store = await openSqlite({ file: join(directory, "sallyport.db"), attempts });
const failure = (error: { code: string; message: string }) => ({ code: error.code, message: error.message });

let users = 0;
let full: unknown;
while (full === undefined) {
  const passwordDigest = "x".repeat(20_000);
  await store.accounts.addUser({ id: `user ${users}`, passwordDigest, at: at(0) }).then(
    () => {
      users += 1;
    },
    (error) => {
      full = failure(error);
    },
  );
}
const attempt = anAttempt({ reason: "x".repeat(20_000) });
store.attempts.record(attempt);
const flushed = await store.attempts.flush().then(() => "written", failure);
const readable = (await store.accounts.users()).length;
const explained = (await store.attempts.get(attempt.id))?.id === attempt.id;
const listed = (await store.attempts.list({ limit: 10 })).length;

await rm(join(directory, "filler"), { force: true });
const after = await store.accounts.addUser({ id: "after", passwordDigest: null, at: at(0) }).catch(failure);
const flushedAfter = await store.attempts.flush().then(() => "written", failure);
await store.close();
console.log(JSON.stringify({ users, full, flushed, readable, explained, listed, after, flushedAfter, lost }));
