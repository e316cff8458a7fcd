import { wellKnown } from "./security-identifier.ts";

/** Whoever has these may do everything on a machine anyway: what only they may change is believed as root's is elsewhere. */
export const privilegedAccounts: readonly string[] = [wellKnown.system, wellKnown.administrators];
