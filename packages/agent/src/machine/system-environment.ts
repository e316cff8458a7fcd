import type { Platform } from "../interpreter/machine.ts";

/** What a program of the system is started with: nothing of what somebody may have put into our own environment. */
export function systemEnvironment(
  platform: Platform,
  own: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  if (platform !== "win") return { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };
  const root = own.SystemRoot ?? "C:\\Windows";
  return {
    SystemRoot: root,
    windir: root,
    PATH: `${root}\\System32;${root}`,
    TEMP: `${root}\\Temp`,
    TMP: `${root}\\Temp`,
  };
}
