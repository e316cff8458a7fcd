/** What clients call their platforms (IV_PLAT), OpenVPN's own and Connect. */
const platforms = ["win", "mac", "linux", "ios", "android", "freebsd", "netbsd", "openbsd", "solaris"] as const;

/** Throws where a setting's name is neither a platform nor "all": a rule for "windows" would never be looked at. */
export function checkPlatforms(names: Iterable<string>): void {
  for (const name of names) {
    if (name === "all" || platforms.some((platform) => platform === name)) continue;
    throw new Error(`${JSON.stringify(name)} is no platform; there are all, ${platforms.join(", ")}`);
  }
}
