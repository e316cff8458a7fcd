import { isUtf8 } from "node:buffer";
import { openedOnce } from "./system-libraries.ts";

const CP_OEMCP = 1;

/**
 * Reads what programs print on a console: each line that is UTF-8 as that, any other in the machine's code page for
 * consoles (850 in Western Europe, say), which cmd.exe and most of Windows' own programs write.
 */
export const consoleReader = openedOnce(({ kernel32 }) => {
  const toUnicode = kernel32.func(
    "int __stdcall MultiByteToWideChar(uint32_t page, uint32_t flags, const void *bytes, int length, _Out_ void *text, int size)",
  );
  return (bytes: Buffer): string =>
    byLine(bytes, (line) => {
      const text = Buffer.alloc(line.length * 2);
      const units: number = toUnicode(CP_OEMCP, 0, line, line.length, text, line.length);
      return units === 0 ? line.toString("utf8") : text.toString("utf16le", 0, units * 2);
    });
});

/** `otherwise` reads the lines that are no UTF-8. */
export function byLine(bytes: Buffer, otherwise: (line: Buffer) => string): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  const read: string[] = [];
  for (let from = 0; from < bytes.length; ) {
    const at = bytes.indexOf(10, from);
    const line = bytes.subarray(from, at === -1 ? bytes.length : at + 1);
    read.push(isUtf8(line) ? line.toString("utf8") : otherwise(line));
    from += line.length;
  }
  return read.join("");
}
