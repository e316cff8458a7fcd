/** Crockford's digits: none looks like another when it is read out or written down. */
const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const length = 6;

/** What a reason may have at the most, so that the code behind it survives OpenVPN's 245 bytes and a prefix of its own. */
const mostReasonBytes = 205;

/**
 * The six characters by which a refused person can name an attempt, derived from the random end of its id. Of a million
 * attempts two may share one.
 */
export function attemptCode(attemptId: string): string {
  const number = Number.parseInt(attemptId.slice(-8), 16) % 2 ** 30;
  return Array.from({ length }, (_, i) => digits[Math.floor(number / 32 ** (length - 1 - i)) % 32]).join("");
}

/** What ids end in whose attempts have this code, however it was typed; undefined where it is none. */
export function idEndingsOf(code: string): string[] | undefined {
  const text = code.trim().toUpperCase().replaceAll("O", "0").replaceAll(/[IL]/g, "1");
  const places = [...text].map((character) => digits.indexOf(character));
  if (places.length !== length || places.includes(-1)) return undefined;
  const number = places.reduce((sum, place) => sum * 32 + place, 0);
  return [0, 1, 2, 3].map((high) => (high * 2 ** 30 + number).toString(16).padStart(8, "0"));
}

/** The reason as a refused person reads it, with the code that `sallyport explain --code` finds; shortened where it must be. */
export function withAttemptCode(clientReason: string, attemptId: string): string {
  return `${shortened(clientReason.trimEnd())} (code ${attemptCode(attemptId)})`;
}

function shortened(text: string): string {
  if (Buffer.byteLength(text) <= mostReasonBytes) return text;
  const bytes = Buffer.from(text).subarray(0, mostReasonBytes - 3);
  // A character cut in two is left out.
  return `${bytes
    .toString("utf8")
    .replace(/\uFFFD+$/, "")
    .trimEnd()}...`;
}
