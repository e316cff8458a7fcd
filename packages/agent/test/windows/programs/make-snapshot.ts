/** Writes the memory from which this Windows' Node starts Python: one that another version of V8 made is not for it. */
import { writeFileSync } from "node:fs";
import { makeSnapshot } from "../../../src/python/snapshot.ts";

writeFileSync(process.argv[2] ?? "", await makeSnapshot());
