const dayMs = 86_400_000;
const longestMs = 10 * 365 * dayMs;
const pattern =
  /^P(?=.)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$/;
const unitMs = [365 * dayMs, 30 * dayMs, 7 * dayMs, dayMs, 3_600_000, 60_000, 1000];

/**
 * Reads an ISO 8601 duration (`P30D`, `PT12H`) as milliseconds: more than nothing and at most ten years. A year counts
 * 365 days and a month 30. Undefined where it is none.
 */
export function parseDuration(text: string): number | undefined {
  const match = pattern.exec(text);
  if (!match) return undefined;
  const ms = match.slice(1).reduce((sum, digits, i) => sum + Number(digits ?? 0) * (unitMs[i] ?? 0), 0);
  return ms > 0 && ms <= longestMs ? ms : undefined;
}
