/** Removes what runs of the tests left behind that ended without doing so; an id names one that is just ending. */
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoryOf, sweepDeadRuns } from "./test-run.ts";

const [ending] = process.argv.slice(2);
// Without its owner's name a run counts as dead.
if (ending !== undefined) await rm(join(directoryOf(ending, tmpdir()), "owner"), { force: true });
await sweepDeadRuns();
