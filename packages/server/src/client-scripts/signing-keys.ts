import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { announceKey, newSigningKey, readSigningKey, type Sealed, type SigningKey } from "@sallyport/protocol";
import { SallyportError } from "../core/errors.ts";
import { newId } from "../core/id.ts";

/** A key by its public half. */
export type ListedKey = {
  id: string;
  publicKey: string;
  createdAt: string;
  current: boolean;
  /** Whether the key before it said that this one follows; the first has none before it. */
  announced: boolean;
};

/** What bundles are signed with. Client configs pin the public half of the present key. */
export type SigningKeys = {
  /** Of this installation, for good. */
  serverId(): string;
  current(): SigningKey;
  /** From the oldest that counts to the present one. */
  announcements(): readonly Sealed[];
  list(): ListedKey[];
  /**
   * A new key signs from now on, and the old one is destroyed. `announce`: the old key's last word names the new one, so
   * that client configs with the old key go on working. Without it (the key was stolen), and without any earlier word,
   * every client config with an older key gets no scripts any more.
   */
  rotate(options: { announce: boolean }): Promise<ListedKey>;
};

type Kept = {
  serverId: string;
  /** PKCS #8 PEM of the present key. */
  privateKey: string;
  keys: Omit<ListedKey, "current">[];
  announcements: Sealed[];
};

/** As many successions as agents follow. */
const mostAnnouncements = 64;

/** Keeps them in `directory/signing-keys.json`, mode 0600, and makes the first one. */
export async function openSigningKeys(options: { directory: string; now?: () => Date }): Promise<SigningKeys> {
  const { directory } = options;
  const file = join(directory, "signing-keys.json");
  const at = () => (options.now?.() ?? new Date()).toISOString();
  await mkdir(directory, { recursive: true, mode: 0o700 });
  let kept = await read(file);
  if (kept === undefined) {
    kept = firstKeys(at());
    await write(file, kept);
  }
  let present = kept;
  let current = readSigningKey(present.privateKey);
  let rotating: Promise<unknown> = Promise.resolve();
  const listed = () => present.keys.map((key) => ({ ...key, current: key.id === current.id }));

  const rotate = async (announce: boolean): Promise<ListedKey> => {
    const { serverId, keys, announcements } = present;
    const next = newSigningKey();
    const word = announceKey({ serverId, publicKey: next.publicKey, at: at() }, current);
    const facts = { id: next.id, publicKey: next.publicKey, createdAt: at(), announced: announce };
    const following: Kept = {
      serverId,
      privateKey: pemOf(next),
      keys: [...keys, facts].slice(-mostAnnouncements),
      announcements: announce ? [...announcements, word].slice(-mostAnnouncements) : [],
    };
    await write(file, following);
    present = following;
    current = next;
    return { ...facts, current: true };
  };

  return {
    serverId: () => present.serverId,
    current: () => current,
    announcements: () => present.announcements,
    list: listed,
    rotate({ announce }) {
      const rotated = rotating.then(() => rotate(announce));
      rotating = rotated.catch(() => {});
      return rotated;
    },
  };
}

function firstKeys(createdAt: string): Kept {
  const key = newSigningKey();
  const { id, publicKey } = key;
  const keys = [{ id, publicKey, createdAt, announced: false }];
  return { serverId: newId(), privateKey: pemOf(key), keys, announcements: [] };
}

function pemOf({ privateKey }: SigningKey): string {
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

async function read(file: string): Promise<Kept | undefined> {
  try {
    const kept = JSON.parse(await readFile(file, "utf8")) as Kept;
    readSigningKey(kept.privateKey);
    if (typeof kept.serverId !== "string" || !Array.isArray(kept.keys) || !Array.isArray(kept.announcements))
      throw new Error("it lacks something");
    return kept;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    // Never made anew by itself: no client config given out before would take what it signs.
    throw new SallyportError(
      "config-invalid",
      `the keys that sign client scripts cannot be read from ${file} (${(error as Error).message}); restore the file, or delete it and issue every client config anew`,
      { cause: error },
    );
  }
}

/** Whole or not at all, and on the disk when it resolves. */
async function write(file: string, kept: Kept): Promise<void> {
  const draft = `${file}.new`;
  await rm(draft, { force: true });
  {
    await using handle = await open(draft, "wx", 0o600);
    await handle.writeFile(`${JSON.stringify(kept, null, 2)}\n`);
    await handle.sync();
  }
  await rename(draft, file);
  await using folder = await open(dirname(file), "r");
  await folder.sync();
}
