/** Writes docs/errors.md from the table of errors; a test holds the two against one another. */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { errorTable } from "../packages/server/src/core/error-table.ts";

const kinds = {
  user: "The person at the keyboard can mend these.",
  policy: "A rule that an administrator made says no.",
  outage: "Something is broken or overloaded. It never reads as a wrong password.",
  usage: "Whoever typed the command or called the API asked for something that cannot be.",
};

const introduction = `# Errors

Every refusal and every failed command has one code. Codes are stable: logs, scripts and other programs may compare
against them. A refused person reads the client reason; the log and \`sallyport explain\` give the reason with names.
Where no client reason is given, the code never refuses a connection. \`sallyport explain --code CODE\` prints an entry.

This page is written by \`node scripts/errors-doc.ts\` from \`packages/server/src/core/error-table.ts\`.
`;

const entry = ([code, error]: [string, (typeof errorTable)[keyof typeof errorTable]]) => `
### \`${code}\`

${error.meaning}

- Kind: ${error.kind}
- HTTP status: ${error.httpStatus}
- The person reads: ${error.clientReason ?? "nothing"}
- Next: ${error.next}
`;

const sections = Object.entries(kinds).map(([kind, sentence]) => {
  const entries = Object.entries(errorTable).filter(([, error]) => error.kind === kind);
  return `\n## ${kind}\n\n${sentence}\n${entries.map(entry).join("")}`;
});
await writeFile(resolve(import.meta.dirname, "../docs/errors.md"), introduction + sections.join(""));
