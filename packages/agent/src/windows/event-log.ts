import { systemLibraries } from "./system-libraries.ts";

/** What the event viewer lists us under; installing the service tells Windows where the wording of such entries is. */
export const eventSource = "sallyport-agent";

const EVENTLOG_ERROR_TYPE = 1;
/** Windows takes 31,839. */
const mostCharacters = 8_000;

/**
 * What writes an error into Windows' application log, where its owner looks for what a service could say nowhere else. It
 * has written when it returns, and never throws.
 */
export async function openEventLog(): Promise<(text: string) => void> {
  const { koffi, advapi32 } = await systemLibraries();
  const register = advapi32.func("intptr_t __stdcall RegisterEventSourceW(str16 machine, str16 source)");
  const report = advapi32.func("ReportEventW", "int", [
    "intptr_t",
    "uint16_t",
    "uint16_t",
    "uint32_t",
    "void *",
    "uint16_t",
    "uint32_t",
    koffi.pointer("str16"),
    "void *",
  ]);
  const log: number = register(null, eventSource);
  return (text) => {
    if (log !== 0) report(log, EVENTLOG_ERROR_TYPE, 0, 1, null, 1, 0, [text.slice(0, mostCharacters)], null);
  };
}
