import type { z } from "zod";

/**
 * One operation as administrators reach it: over the admin socket now, over `/api/v1` with the same shapes. Input and
 * result are plain JSON; whatever goes wrong is thrown as a SallyportError.
 */
export type Command = {
  /** One line, for documentation made from the table. */
  summary: string;
  input: z.ZodType;
  /** Takes what `input` made of the request. */
  run(input: never): Promise<unknown>;
};

/** By name, `noun-verb`. */
export type CommandTable = Readonly<Record<string, Command>>;

/** Lets `run` see the type that `input` produces. */
export function command<Schema extends z.ZodType>(definition: {
  summary: string;
  input: Schema;
  run(input: z.output<Schema>): Promise<unknown>;
}): Command {
  return definition;
}

/** One table of several; a name in two of them is a programming error. */
export function joinTables(...tables: readonly CommandTable[]): CommandTable {
  const joined: Record<string, Command> = {};
  for (const [name, entry] of tables.flatMap((table) => Object.entries(table))) {
    if (Object.hasOwn(joined, name)) throw new Error(`two commands are named ${name}`);
    joined[name] = entry;
  }
  return joined;
}
