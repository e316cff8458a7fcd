import type { Finding } from "../../api/commands/doctor.ts";
import { errorTable } from "../../core/errors.ts";
import type { AttemptStore } from "../../store/store.ts";
import { warning } from "./finding.ts";

const lookedBackMs = 3_600_000;
const mostLookedAt = 1_000;

/**
 * What refused people lately though it was no fault of theirs: a server that does not answer, a script that breaks. What
 * no settings show, somebody has run into.
 */
export async function recentOutages(attempts: Pick<AttemptStore, "list">, now = Date.now()): Promise<Finding[]> {
  const since = new Date(now - lookedBackMs).toISOString();
  const recent = await attempts.list({ since, limit: mostLookedAt });
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
