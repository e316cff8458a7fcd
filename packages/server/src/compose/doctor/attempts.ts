import type { Finding } from "../../api/commands/doctor.ts";
import { errorTable } from "../../core/errors.ts";
import type { AttemptStore } from "../../store/store.ts";
import { fault, warning } from "./finding.ts";

const lookedBackMs = 3_600_000;
const mostLookedAt = 1_000;
/** Written down by this machine, but a moment may have passed since. */
const clockToleranceMs = 60_000;

/**
 * What recorded attempts show and no settings do: what refused people lately though it was no fault of theirs (a server
 * that does not answer, a script that breaks), and a clock that was set back.
 */
export async function examineAttempts(attempts: Pick<AttemptStore, "list">, now = Date.now()): Promise<Finding[]> {
  const since = new Date(now - lookedBackMs).toISOString();
  const recent = await attempts.list({ since, limit: mostLookedAt });
  const [newest] = recent;
  if (newest !== undefined && Date.parse(newest.at) > now + clockToleranceMs) return [clockWasSetBack(newest.at)];
  const broken = recent.flatMap(({ id, at, code, reason }) =>
    code !== null && errorTable[code].kind === "outage" ? [{ id, at, code, reason }] : [],
  );
  return [...Map.groupBy(broken, ({ code }) => code)].map(([code, those]) => {
    const [{ id, at, reason } = { id: "", at: "", reason: "" }] = those;
    const times = those.length === 1 ? "once" : `${those.length} times`;
    const what = `somebody was refused ${times} in the last hour, last at ${at}, because something is broken: ${reason} (${code})`;
    return warning(`outage.${code}`, what, `${errorTable[code].next} See: sallyport explain ${id}`);
  });
}

function clockWasSetBack(at: string): Finding {
  const what = `somebody signed in at ${at}, which is still to come: the clock was set back`;
  const next = "Set it. If it is right now: what was recorded ahead of it is shown as the newest until it is past.";
  return fault("clock-set-back", what, next);
}
