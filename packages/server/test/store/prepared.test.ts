import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { prepared } from "../../src/store/prepared.ts";
import { openSqliteDatabase } from "../../src/store/sqlite.ts";

test("a prepared query is built once for each engine, and asked with its values each time, in a transaction or without", async () => {
  let built = 0;
  const put = prepared((query, row: { key: string; value: string }) => {
    built += 1;
    return query.insertInto("settings").values(row);
  });
  const valueAt = prepared((query, { key }: { key: string }) =>
    query.selectFrom("settings").select("value").where("key", "=", key).where("value", "<>", "b of 1"),
  );
  const directory = await mkdtemp(join(tmpdir(), "prepared-"));
  for (const engine of [1, 2]) {
    const database = await openSqliteDatabase({ file: join(directory, `${engine}.db`) });
    const { query, transaction } = database;
    expect((await put(query, { key: "a", value: `a of ${engine}` })).numAffectedRows).toBe(1n);
    await transaction((trx) => put(trx, { key: "b", value: `b of ${engine}` }));
    await expect(transaction((trx) => put(trx, { key: "b", value: "again" }))).rejects.toThrow("UNIQUE");
    expect((await valueAt(query, { key: "a" })).rows).toEqual([{ value: `a of ${engine}` }]);
    // What is no stand-in stays as it was written.
    expect((await valueAt(query, { key: "b" })).rows).toEqual(engine === 1 ? [] : [{ value: "b of 2" }]);
    await database.close();
  }
  expect(built).toBe(2);
  await rm(directory, { recursive: true });
});
