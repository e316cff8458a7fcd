import type { Cli } from "./cli.ts";

/** Who is at the terminal, also behind sudo: it is kept with what they store. */
export async function whoTypes(cli: Cli): Promise<string> {
  const { userInfo } = await import("node:os");
  return cli.io.environment.SUDO_USER || userInfo().username;
}
