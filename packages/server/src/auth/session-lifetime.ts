import type { SettingStore } from "../store/store.ts";

/** Access Server's name, in seconds; 0: sessions do not expire. */
export const sessionLifetimeKey = "vpn.server.session_expire";

const usualSeconds = 24 * 60 * 60;

export function isSessionLifetime(value: string): boolean {
  return /^\d{1,11}$/.test(value);
}

/** How long a session lasts for whom `prop_expire` is not set; one that cannot be read is as none. */
export function sessionLifetime(settings: Pick<SettingStore, "get">): () => Promise<number> {
  return async () => {
    const value = await settings.get(sessionLifetimeKey);
    return value !== undefined && isSessionLifetime(value) ? Number(value) : usualSeconds;
  };
}
