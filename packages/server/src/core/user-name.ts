/** OpenVPN raises CONNECT for longer names and then fails them itself (observed with 2.6.14). */
const longestBytes = 64;

/** Whether a text may name a user: valid UTF-8 of at most 64 bytes without control characters. */
export function isUserName(text: string): boolean {
  return text !== "" && Buffer.byteLength(text) <= longestBytes && text.isWellFormed() && !/\p{Cc}|\uFFFD/u.test(text);
}
