import type { Questions } from "./questions.ts";

/** The process as the command line sees it. */
export type CliIo = {
  stdin: NodeJS.ReadStream;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  environment: Readonly<Record<string, string | undefined>>;
  /** What `serve` ends at. */
  stopSignal?: Promise<NodeJS.Signals> | undefined;
};

/** What every command is given: how to ask the daemon, and how to tell the person. */
export type Cli = {
  json: boolean;
  /** Absolute; named by `--config`, `$SALLYPORT_CONFIG`, or the usual place. */
  configFile: string;
  io: CliIo;
  questions(): Questions;
  /** Has the running daemon carry out a command; two minutes unless told. */
  call<Result>(command: string, input: object, options?: { deadlineMs?: number }): Promise<Result>;
  /** Prints a result: as JSON, or in the words for people, which `forPeople` has made safe to print. */
  print<Result>(result: Result, forPeople: (result: Result) => string): void;
  /** A list as JSON array or as a table; an empty one says `none` on standard error and prints nothing. */
  printList<Item>(items: readonly Item[], none: string, forPeople: (items: readonly Item[]) => string): void;
  /** A remark for people, on standard error. */
  note(text: string): void;
};
