/** OpenVPN raises CONNECT for longer names and then fails them itself (observed with 2.6.14). */
const longestBytes = 64;

/**
 * What keeps a text from naming a user, to be read after the name: `it is blank`. A name is valid UTF-8 of at most 64
 * bytes without control characters, of which something can be seen.
 */
export function whyNoUserName(text: string): string | undefined {
  if (text === "") return "it is empty";
  if (!text.isWellFormed() || text.includes("\uFFFD")) return "it holds broken UTF-8";
  if (/\p{Cc}/u.test(text)) return "it holds control characters";
  // Spaces of any kind, and what is not seen at all: nobody could tell such names apart.
  if (/^[\p{Z}\p{Cf}]*$/u.test(text)) return "it is blank";
  const bytes = Buffer.byteLength(text);
  return bytes > longestBytes ? `it is ${bytes} bytes long, and at most ${longestBytes} are taken` : undefined;
}
