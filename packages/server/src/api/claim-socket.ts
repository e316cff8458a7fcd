import { randomBytes } from "node:crypto";
import { link, lstat, rename, rm, stat } from "node:fs/promises";
import { createConnection } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { SallyportError } from "../core/errors.ts";

const probeDeadlineMs = 2000;
const turnPollMs = 20;
const mostTurnTries = 250;

/** The longest path a unix socket's address holds on Linux, in bytes. */
const longestSocketPath = 107;

/** Where a socket is bound first, out of sight, until it has its mode and takes its real name. */
export function hiddenNameFor(path: string): string {
  const hidden = join(dirname(path), `.${randomBytes(5).toString("hex")}`);
  const longest = Math.max(Buffer.byteLength(path), Buffer.byteLength(hidden));
  if (longest > longestSocketPath) {
    throw new SallyportError(
      "invalid-input",
      `the path ${path} is too long for a unix socket: shorten dataDirectory by ${longest - longestSocketPath} bytes`,
    );
  }
  return hidden;
}

/**
 * Gives a listening socket its real name. A name that belongs to a socket nobody answers is taken over; one that
 * answers is left alone, also when several daemons start at the same moment: they take turns. Errors: `conflict`.
 */
export async function claimSocketName(bound: string, path: string): Promise<void> {
  const turn = `${path}~`;
  await takeTurn(bound, turn, path);
  try {
    await mustBeFree(path);
    await rename(bound, path);
  } finally {
    await rm(turn, { force: true });
  }
}

/** The socket is ours to remove only while the name still means the file that was claimed. */
export async function releaseSocketName(path: string, inode: bigint): Promise<void> {
  const present = await stat(path, { bigint: true }).catch(() => undefined);
  if (present?.ino === inode) await rm(path, { force: true });
}

/** A turn is a second name for the socket of whoever has it; one whose owner was killed meanwhile is taken over. */
async function takeTurn(bound: string, turn: string, path: string): Promise<void> {
  for (let tries = 0; tries < mostTurnTries; tries += 1) {
    try {
      return await link(bound, turn);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    if (await answers(turn)) await wait(turnPollMs);
    else await rm(turn, { force: true });
  }
  throw inUse(path);
}

async function mustBeFree(path: string): Promise<void> {
  const present = await lstat(path).catch(() => undefined);
  if (!present) return;
  if (!present.isSocket()) {
    throw new SallyportError("conflict", `${path} is in the way and is not a socket: move it elsewhere`);
  }
  if (await answers(path)) throw inUse(path);
}

function inUse(path: string): SallyportError {
  return new SallyportError("conflict", `another Sallyport daemon answers at ${path}: stop it first`);
}

/** Whether something accepts connections there. One that is there but too busy to accept counts as answering. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const settle = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(probeDeadlineMs, () => settle(true));
    socket.once("connect", () => settle(true));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      settle(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}
