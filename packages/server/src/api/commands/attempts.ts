import { z } from "zod";
import type { AttemptRecord } from "../../core/attempt.ts";
import { idEndingsOf } from "../../core/attempt-code.ts";
import type { Connection } from "../../core/connection.ts";
import { SallyportError } from "../../core/errors.ts";
import { maskSecrets } from "../../core/properties.ts";
import type { AttemptStore, Ledger } from "../../store/store.ts";
import { type CodeWords, codeWords } from "../code-words.ts";
import { type CommandTable, command } from "../command.ts";
import { id, limit, name, time } from "../input.ts";

/** An attempt with what its code means, and what became of it: a hook may still have refused who was let in. */
export type AttemptExplained = AttemptRecord & {
  explanation: CodeWords | null;
  connection: Pick<Connection, "id" | "state" | "endReason" | "endDetail"> | null;
};

/** Among so many of a user's connections since the attempt the one that it became is looked for. */
const mostLookedAt = 1000;

/** Recorded attempts, also those that wait to be written because the database cannot be. */
export function attemptCommands(deps: {
  attempts: Pick<AttemptStore, "get" | "list" | "endingIn">;
  ledger: Pick<Ledger, "list">;
}): CommandTable {
  const { attempts, ledger } = deps;
  const explained = async (attempt: AttemptRecord): Promise<AttemptExplained> => ({
    ...masked(attempt),
    explanation: attempt.code === null ? null : codeWords(attempt.code),
    connection: await connectionOf(attempt, ledger),
  });
  return {
    "attempt-list": command({
      summary: "Attempts, newest first.",
      input: z.strictObject({ userId: name.optional(), since: time.optional(), limit: limit(100) }),
      run: async (filter): Promise<AttemptRecord[]> => {
        return (await attempts.list(filter)).map(masked);
      },
    }),
    "attempt-show": command({
      summary: "One attempt with its trace and what its code means.",
      input: z.strictObject({ id }),
      run: async (input): Promise<AttemptExplained> => {
        const found = await attempts.get(input.id);
        if (!found) throw new SallyportError("not-found", `there is no attempt ${JSON.stringify(input.id)}`);
        return await explained(found);
      },
    }),
    "attempt-by-code": command({
      summary: "The newest attempt with the short code that a refused person read, like attempt-show.",
      input: z.strictObject({ code: z.string().max(20) }),
      run: async ({ code }): Promise<AttemptExplained> => {
        const endings = idEndingsOf(code);
        if (endings === undefined) {
          throw new SallyportError("invalid-input", `${JSON.stringify(code)} is no code: six letters and digits`);
        }
        const [found] = await attempts.endingIn(endings);
        if (!found) throw new SallyportError("not-found", `no attempt with the code ${code} is recorded`);
        return await explained(found);
      },
    }),
    "attempt-last": command({
      summary: "A user's newest attempt, like attempt-show.",
      input: z.strictObject({ userId: name }),
      run: async ({ userId }): Promise<AttemptExplained> => {
        const [found] = await attempts.list({ userId, limit: 1 });
        if (!found)
          throw new SallyportError(
            "not-found",
            `no attempt of ${JSON.stringify(userId)} is recorded; a script may have renamed them, see \`sallyport attempt list\``,
          );
        return await explained(found);
      },
    }),
  };
}

async function connectionOf(
  { id: attemptId, userId, at, kind }: AttemptRecord,
  ledger: Pick<Ledger, "list">,
): Promise<AttemptExplained["connection"]> {
  if (kind !== "connect" || userId === null) return null;
  const since = await ledger.list({ userId, since: at, limit: mostLookedAt });
  const found = since.find((connection) => connection.attemptId === attemptId);
  if (!found) return null;
  const { id: connectionId, state, endReason, endDetail } = found;
  return { id: connectionId, state, endReason, endDetail };
}

function masked(attempt: AttemptRecord): AttemptRecord {
  return { ...attempt, properties: maskSecrets(attempt.properties) };
}
