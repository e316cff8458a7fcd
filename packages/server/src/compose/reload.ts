import { isDeepStrictEqual } from "node:util";
import type { Config, ProfileConfig } from "../config/config.ts";
import { SallyportError } from "../core/errors.ts";

/**
 * What a running daemon cannot change without ending connections or opening its data anew is refused whole, by name:
 * then nothing of the new configuration applies.
 */
export function refuseWhatNeedsRestart(live: Config, next: Config): void {
  const changed = [
    ...differing(live, next, ["dataDirectory", "database", "node", "geoIp"]),
    ...differing(live.http, next.http, ["listen", "publicUrl", "tls"]).map((key) => `http.${key}`),
    ...differing(live.scripts, next.scripts, ["account", "python", "workers", "threads"]).map(
      (key) => `scripts.${key}`,
    ),
    ...changedProfiles(live.profiles, next.profiles),
  ];
  if (changed.length === 0) return;
  throw new SallyportError(
    "config-invalid",
    `${changed.join(", ")} cannot change while connections are open: restart the daemon to apply this, or undo it. Nothing was applied`,
  );
}

function changedProfiles(live: readonly ProfileConfig[], next: readonly ProfileConfig[]): string[] {
  const ids = new Set([...live, ...next].map(({ id }) => id));
  return [...ids].flatMap((id) => {
    const [before, after] = [live, next].map((profiles) => profiles.find((profile) => profile.id === id));
    if (before === undefined) return [`profile ${id} (new)`];
    if (after === undefined) return [`profile ${id} (removed)`];
    return differing(before, after, ["tunnel", "ranges"]).map((key) => `profile ${id}: ${wordOf(before, key)}`);
  });
}

/** The configuration's own word: what a tunnel is stands under its protocol. */
function wordOf(profile: ProfileConfig, key: string): string {
  return key === "tunnel" ? profile.tunnel.protocol : key;
}

function differing<T extends object>(live: T, next: T, keys: readonly (keyof T & string)[]): string[] {
  return keys.filter((key) => !isDeepStrictEqual(live[key], next[key]));
}
