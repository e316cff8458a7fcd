import { AgentFailure } from "../failure.ts";
import type { Platform } from "../interpreter/machine.ts";

/** This machine's platform, as servers and scripts name it. */
export function ownPlatform(): Platform {
  if (process.platform === "win32") return "win";
  if (process.platform === "darwin") return "mac";
  if (process.platform === "linux") return "linux";
  throw new AgentFailure("failed", `The agent does not know this system (${process.platform}).`);
}
