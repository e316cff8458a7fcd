import { SallyportError } from "../../core/errors.ts";
import type { Failure } from "./wire.ts";

type Advice = { when: RegExp; say: (file: string) => string };

/** SQLite's result codes (https://sqlite.org/rescode.html) in an administrator's words. */
const advices: readonly Advice[] = [
  {
    when: /^SQLITE_FULL|^ENOSPC$|^EDQUOT$/,
    say: (file) => `The disk that holds the database ${file} is full. Free some space; nothing needs restarting.`,
  },
  {
    when: /^SQLITE_(BUSY|LOCKED|PROTOCOL)/,
    say: (file) =>
      `Another program keeps the database ${file} locked. Find it with \`fuser ${file}\` and end what it does there.`,
  },
  {
    when: /^SQLITE_READONLY|^EROFS$/,
    say: (file) =>
      `The database ${file} cannot be written. Check that its file system is mounted for writing (\`findmnt -T ${file}\`) ` +
      "and that it belongs to the account Sallyport runs as.",
  },
  {
    when: /^SQLITE_(CORRUPT|NOTADB|FORMAT)/,
    say: (file) =>
      `The file ${file} is damaged or is no SQLite database. Stop Sallyport, keep a copy of the file, and restore a backup; ` +
      "without one, `sqlite3 FILE .recover` saves what can be read.",
  },
  {
    when: /^ENOENT$|^ENOTDIR$/,
    say: (file) => `The directory of the database ${file} does not exist. Create it, or mend dataDirectory.`,
  },
  {
    when: /^EACCES$|^EPERM$|^SQLITE_(PERM|AUTH)/,
    say: (file) => `Sallyport's account may not use the database ${file}. Give it the file and its directory.`,
  },
  {
    when: /^EISDIR$|^SQLITE_CANTOPEN_ISDIR/,
    say: (file) => `The database ${file} is a directory. Move it away, or mend dataDirectory.`,
  },
  {
    when: /^SQLITE_CANTOPEN/,
    say: (file) => `The database ${file} cannot be opened. Check that its directory exists, is writable, and has room.`,
  },
  {
    when: /^SQLITE_IOERR|^EIO$/,
    say: (file) =>
      `The disk failed while the database ${file} was read or written. Check free space (\`df\`), limits and \`dmesg\`.`,
  },
  {
    when: /^SQLITE_NOMEM|^ENOMEM$|^E[MN]FILE$/,
    say: (file) => `There was no memory or file handle left for the database ${file}. Raise the limits of the service.`,
  },
];

/**
 * `store-unavailable` where the database or its machine is at fault. A fault of a query itself (a constraint, an
 * unknown column) stays a plain error with SQLite's code: it is a bug, and retrying would not help.
 */
export function faultOf(file: string, failure: Failure): Error {
  const cause = Object.assign(new Error(failure.message), { code: failure.code });
  const advice = advices.find(({ when }) => when.test(failure.code ?? ""));
  if (advice === undefined) return cause;
  return new SallyportError("store-unavailable", `${advice.say(file)} (${failure.code}: ${failure.message})`, {
    cause,
  });
}
