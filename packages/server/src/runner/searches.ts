import type { DirectoryEntry } from "../core/directory-search.ts";
import { longestLineBytes, type SearchQuery } from "./messages.ts";
import type { PendingCall } from "./pending-call.ts";

/** A script may search from several threads; more than this at once is a fault in it. */
const mostSearches = 16;

type Answer = { entries: readonly DirectoryEntry[] } | { error: string };

/** Runs a script's search over the directory of its call; every way it can go wrong becomes an error in the script. */
export function answerSearch(
  pending: PendingCall | undefined,
  query: SearchQuery,
  answer: (answer: Answer) => void,
): void {
  const search = pending?.call.directory?.search;
  if (pending === undefined || search === undefined) {
    answer({ error: "there is no directory to search" });
    return;
  }
  if (!isQuery(query) || pending.searches >= mostSearches) {
    answer({ error: `a search of the wrong form, or more than ${mostSearches} at once` });
    return;
  }
  pending.searches += 1;
  Promise.resolve()
    .then(() => search(query))
    .then(
      (entries): Answer =>
        sizeOf(entries) > longestLineBytes ? { error: "the directory found too much" } : { entries },
      (error: unknown): Answer => ({ error: error instanceof Error ? error.message : String(error) }),
    )
    .then((outcome) => {
      pending.searches -= 1;
      answer(outcome);
    });
}

function isQuery({ base, filter, attributes }: SearchQuery): boolean {
  return typeof base === "string" && typeof filter === "string" && Array.isArray(attributes);
}

function sizeOf(entries: readonly DirectoryEntry[]): number {
  let size = 0;
  for (const { dn, attributes } of entries) {
    size += dn.length;
    for (const values of Object.values(attributes)) for (const value of values) size += value.length;
  }
  return size;
}
