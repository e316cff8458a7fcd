import type { Properties } from "../core/properties.ts";

/** Properties that are taken over from Access Server and can do nothing here, with why. */
const reasons: Readonly<Record<string, (value: string) => string | null>> = {
  prop_lzo: (value) =>
    value === "true"
      ? "the tunnels are never compressed, as that gives away what is in them (OpenVPN advises against it)"
      : null,
};

/** Says of each such property once that it is in somebody's record without effect. */
export function reportWithoutEffect(
  report: (property: string, userId: string | null, reason: string) => void,
): (attempt: { userId: string | null; properties: Properties }) => void {
  const reported = new Set<string>();
  return ({ userId, properties }) => {
    for (const [property, reasonOf] of Object.entries(reasons)) {
      const value = properties[property];
      const reason = value === undefined || reported.has(property) ? null : reasonOf(value);
      if (reason === null) continue;
      reported.add(property);
      report(property, userId, reason);
    }
  };
}
