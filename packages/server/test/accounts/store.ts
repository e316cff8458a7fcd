import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { openStoreHere } from "../store/open-here.ts";

const opened: { store: Store; directory: string }[] = [];

afterEach(async () => {
  for (const { store, directory } of opened.splice(0)) {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  }
});

/** A real database of its own, gone after the test. */
export async function openStore(): Promise<Store> {
  const directory = await mkdtemp(join(tmpdir(), "sallyport-accounts-"));
  const store = await openStoreHere(join(directory, "sallyport.db"));
  opened.push({ store, directory });
  return store;
}
