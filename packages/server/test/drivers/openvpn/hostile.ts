import fc from "fast-check";

/** What somebody might send to have it executed, logged or cut in the wrong place. */
const pieces = [
  '"',
  "'",
  "\\",
  '\\"',
  '"\\',
  "\n",
  "\r",
  "\r\n",
  "\0",
  "\t",
  "\v",
  "\f",
  "\x1b[2J",
  "\x7f",
  "\x85",
  "\u2028",
  "\u2029",
  "END",
  "\nEND\n",
  "client-kill 0",
  '"\nclient-kill 0\n"',
  "\nclient-auth 0 1\nEND\n",
  "$(reboot)",
  "`id`",
  "$HOME",
  "#",
  ";",
  " ",
  "  ",
  "%s%n",
  "é",
  "ß",
  "漢",
  "😀",
  "\ud83d",
  "\ude00",
  "\ufeff",
  "\ufffd",
  "\u202e",
  "CRV1:R,E:a:b:",
  "TEMP[backoff 0]:",
  "SESSION:",
  'push "route 0.0.0.0 0.0.0.0"',
  ">CLIENT:CONNECT,0,1",
  "a".repeat(255),
  "b".repeat(1_023),
  "é".repeat(1_000),
];

/** Always the same strings for the same number. */
export function hostileString(seed: number): string {
  let state = (seed * 2_654_435_761 + 12_345) >>> 0;
  const random = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const parts = Array.from({ length: 1 + random(8) }, () => {
    const kind = random(4);
    if (kind < 2) return pieces[random(pieces.length)] ?? "";
    if (kind === 2) return String.fromCharCode(...Array.from({ length: random(40) }, () => random(256)));
    return String.fromCharCode(...Array.from({ length: random(20) }, () => random(65_536)));
  });
  const text = parts.join("");
  return seed % 50 === 0 ? text.padEnd(2_000, text || "x") : text;
}

export const hostileText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 400 }),
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join("")),
);
