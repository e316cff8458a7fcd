/** Exceptions in words, bounded whatever a script throws. */
import { inspect } from "node:util";

const longestMessage = 2_000;
const longestTraceback = 16_384;
const mostCauses = 4;

/** What the error says, and what caused it where that says more: `fetch failed: connect ECONNREFUSED 127.0.0.1:1`. */
export function messageOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return cut(typeof error === "string" ? error : inspect(error));
    const texts: string[] = [];
    let cause: unknown = error;
    for (let depth = 0; cause instanceof Error && depth < mostCauses; depth++, cause = cause.cause) {
      const text = String(cause.message) || String(cause.name);
      if (!texts.some((one) => one.includes(text))) texts.push(text);
    }
    return cut(texts.join(": "));
  } catch {
    return "the script threw something that cannot be shown";
  }
}

/** As Node prints it, with the script's own lines alone. */
export function tracebackOf(error: unknown): string {
  try {
    const text = error instanceof Error ? inspect(error, { depth: 3 }) : `thrown: ${inspect(error)}`;
    return cut(withScriptNames(text.split("\n").filter(isOfInterest).join("\n")), longestTraceback);
  } catch {
    return "its traceback cannot be shown";
  }
}

const isOfInterest = (line: string) => !/^ +at (.* )?\(?(sallyport-sdk|node|file):/.test(line);

/** `script:office%20hours.ts:3:1` as `office hours.ts:3:1`. */
function withScriptNames(text: string): string {
  return text.replaceAll(/script:([^\s:()]*)/g, (_whole, name: string) => decodeURIComponent(name));
}

/** The beginning and the end: the end often says what happened. */
export function cut(text: string, longest = longestMessage): string {
  if (text.length <= longest) return text;
  const head = Math.floor(longest / 4);
  return `${text.slice(0, head)}\n[${text.length - longest} characters left out]\n${text.slice(head - longest)}`;
}
