import { z } from "zod";
import { SallyportError } from "../../core/errors.ts";
import { type RecordedCase, recordCase } from "../../post-auth/cases/record-case.ts";
import type { Replay, ReplayReport } from "../../post-auth/replay/replay.ts";
import type { AttemptStore } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { id, limit, name, text, time } from "../input.ts";

export type { RecordedCase, ReplayReport };

const stored = z.strictObject({ name, version: z.int().min(1).optional() });
const file = z.strictObject({
  text,
  language: z.enum(["python", "typescript"]).default("python"),
  inPlaceOf: name.optional(),
});

/** Post-auth scripts and what was recorded of real attempts. */
export function postAuthAttemptCommands(deps: { attempts: Pick<AttemptStore, "get">; replay: Replay }): CommandTable {
  return {
    "post-auth-record": command({
      summary: "A case made of a real attempt, without its secrets.",
      input: z.strictObject({ id }),
      run: async (input): Promise<RecordedCase> => {
        const attempt = await deps.attempts.get(input.id);
        if (!attempt) throw new SallyportError("not-found", `there is no attempt ${JSON.stringify(input.id)}`);
        return recordCase(attempt);
      },
    }),
    "post-auth-replay": command({
      summary: "Runs a draft over recorded attempts and tells who would be decided differently; changes nothing.",
      input: z.strictObject({ draft: z.union([stored, file]), since: time, limit: limit(1000) }),
      run: async ({ draft, since, limit: most }): Promise<ReplayReport> =>
        await deps.replay({ draft: withoutAbsent(draft), since, limit: most }),
    }),
  };
}

type Parsed = z.output<typeof stored> | z.output<typeof file>;

function withoutAbsent(draft: Parsed): Parameters<Replay>[0]["draft"] {
  if ("name" in draft) return { name: draft.name, ...(draft.version !== undefined && { version: draft.version }) };
  const { inPlaceOf, ...rest } = draft;
  return { ...rest, ...(inPlaceOf !== undefined && { inPlaceOf }) };
}
