/** Makes the memory that the agent's built-in Python starts from, unless it is there; without it a start takes seconds. */
import { keepSnapshot } from "../packages/agent/src/python/snapshot.ts";

await keepSnapshot();
