import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * One line that a hook wrote as the first thing it did. `V`: the gate says no to this connection. `calm` has a grace
 * period: a device that is back within it was never gone. `journal` is a log that the daemon itself writes.
 */
export type Line = {
  hook: "gate" | "told" | "calm" | "journal";
  event: "C" | "D" | "V";
  eventId: string;
  sessionId: string;
  attempt: number;
  ipv4: string;
};

/** Hooks that write down what they are told, on a disk of their own: `gate` may say no, the others are told only. */
export type ToldLog = {
  /** What the configuration takes for `hooks`. */
  hooks: readonly object[];
  /** The directory that the programs lie in, which names them among the processes. */
  directory: string;
  /** Each hook's in the order they were written. */
  lines(): Promise<Line[]>;
};

// The end of the session's id decides: the same answer whenever and however often it is asked. A line is one write of a
// shell's own printf to a file opened for appending: lines of many programs never mix.
const bodies = {
  gate: `case $VPN_EVENT$VPN_SESSION_ID in
C*[01]) note V; exit 1 ;;
C*[2-6]) sleep 0.2 ;;
C*[78]) sleep 0.7 ;;
C*9) sleep 30 ;;
esac`,
  told: `case $VPN_SESSION_ID in
*[0-3]) sleep 0.15 ;;
*4) [ "$VPN_ATTEMPT" -gt 1 ] || exit 1 ;;
*5) [ "$VPN_ATTEMPT" -gt 1 ] || { trap '' TERM; sleep 30 & wait; } ;;
esac`,
  calm: "",
};
/** Devices come back within less, and after more. */
const graceSeconds = 2;

export async function writeToldLog(directory: string): Promise<ToldLog> {
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o755);
  const log = join(directory, "log");
  const journal = join(directory, "journal");
  await writeFile(log, "");
  await writeFile(journal, "");
  for (const [name, body] of Object.entries(bodies)) {
    const text = `#!/bin/sh
note() {
  printf '%s %s %s %s %s %s.\\n' ${name} "$1" "$VPN_EVENT_ID" "$VPN_SESSION_ID" "$VPN_ATTEMPT" "$VPN_IP_FOUR" >> '${log}'
}
note "$VPN_EVENT" || exit 2
${body}
exit 0
`;
    await writeFile(join(directory, name), text, { mode: 0o755 });
  }
  const retry = { attempts: 1000, firstWaitMs: 200, longestWaitMs: 1000 };
  return {
    directory,
    hooks: [
      { name: "gate", script: join(directory, "gate"), veto: true, deadlineMs: 2500, retry },
      { name: "told", script: join(directory, "told"), deadlineMs: 2500, retry },
      { name: "calm", script: join(directory, "calm"), graceSeconds, retry },
      { name: "journal", log: journal, retry },
    ],
    lines: async () => {
      const linesOf = async (file: string) => (await readFile(file, "utf8")).split("\n").filter(Boolean);
      const journalled = (await linesOf(journal)).map((line): Line => {
        const { event, eventId, sessionId, attempt, ipFour } = JSON.parse(line);
        return { hook: "journal", event, eventId, sessionId, attempt, ipv4: ipFour };
      });
      const written = (await linesOf(log)).map((line): Line => {
        const match = /^(gate|told|calm) ([CDV]) (\S+) (\S+) (\d+) (\S*)\.$/.exec(line);
        if (match === null) throw new Error(`A hook wrote a line that is no line: ${line}`);
        const [, hook, event, eventId = "", sessionId = "", attempt, ipv4 = ""] = match;
        return {
          hook: hook as Line["hook"],
          event: event as Line["event"],
          eventId,
          sessionId,
          attempt: Number(attempt),
          ipv4,
        };
      });
      return [...written, ...journalled];
    },
  };
}
