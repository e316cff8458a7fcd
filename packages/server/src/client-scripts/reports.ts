import { mostOutputBytes, type ScriptReport } from "@sallyport/protocol";

const mostDetailBytes = 500;

/** A report as it is kept: control characters visible, so that nobody's terminal obeys them, and cut to its bounds. */
export function cleanReport(report: ScriptReport): ScriptReport {
  const { name, event, privilege, sha256, outcome, startedAt, durationMs, exitCode, signal, detail, output } = report;
  return {
    name,
    event,
    privilege,
    sha256,
    outcome,
    startedAt,
    durationMs,
    exitCode,
    signal,
    detail: detail === null ? null : cut(visible(detail.replaceAll(/\s+/g, " ")), mostDetailBytes),
    output: cut(visible(output.replaceAll("\r\n", "\n")), mostOutputBytes),
  };
}

/** All but line feeds and tabs: those that have a picture of their own become it, the others and what hides a `?`. */
function visible(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/(?![\t\n])\p{Cc}/gu, (control) => {
      const code = control.charCodeAt(0);
      if (code === 0x7f) return "\u2421";
      return code < 0x20 ? String.fromCodePoint(0x2400 + code) : "?";
    })
    .replaceAll(/[\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}

function cut(text: string, mostBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= mostBytes) return text;
  const mark = "\n[cut]";
  const head = bytes.subarray(0, mostBytes - mark.length).toString("utf8");
  return `${head.replace(/\uFFFD+$/, "")}${mark}`;
}
