import { z } from "zod";
import type { AttemptRecord } from "../../core/attempt.ts";
import { SallyportError } from "../../core/errors.ts";
import { maskSecrets } from "../../core/properties.ts";
import type { AttemptStore } from "../../store/store.ts";
import { type CodeWords, codeWords } from "../code-words.ts";
import { type CommandTable, command } from "../command.ts";
import { id, limit, name, time } from "../input.ts";

/** An attempt with what its code means. */
export type AttemptExplained = AttemptRecord & { explanation: CodeWords | null };

/** Recorded attempts. The newest are written in batches, so that each command waits for those first. */
export function attemptCommands(deps: { attempts: Pick<AttemptStore, "flush" | "get" | "list"> }): CommandTable {
  const { attempts } = deps;
  return {
    "attempt-list": command({
      summary: "Attempts, newest first.",
      input: z.strictObject({ userId: name.optional(), since: time.optional(), limit: limit(100) }),
      run: async (filter): Promise<AttemptRecord[]> => {
        await attempts.flush();
        return (await attempts.list(filter)).map(masked);
      },
    }),
    "attempt-show": command({
      summary: "One attempt with its trace and what its code means.",
      input: z.strictObject({ id }),
      run: async (input): Promise<AttemptExplained> => {
        await attempts.flush();
        const found = await attempts.get(input.id);
        if (!found) throw new SallyportError("not-found", `there is no attempt ${JSON.stringify(input.id)}`);
        return explained(found);
      },
    }),
    "attempt-last": command({
      summary: "A user's newest attempt, like attempt-show.",
      input: z.strictObject({ userId: name }),
      run: async ({ userId }): Promise<AttemptExplained> => {
        await attempts.flush();
        const [found] = await attempts.list({ userId, limit: 1 });
        if (!found) throw new SallyportError("not-found", `no attempt of ${JSON.stringify(userId)} is recorded`);
        return explained(found);
      },
    }),
  };
}

function explained(attempt: AttemptRecord): AttemptExplained {
  return { ...masked(attempt), explanation: attempt.code === null ? null : codeWords(attempt.code) };
}

function masked(attempt: AttemptRecord): AttemptRecord {
  return { ...attempt, properties: maskSecrets(attempt.properties) };
}
