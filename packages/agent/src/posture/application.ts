/** One program that is installed. Sources that know it by several names give them all. */
export type Application = {
  names: readonly string[];
  /** As its maker wrote it, or how to learn it where that costs more than the list. */
  version?: string | (() => Promise<string | undefined>);
};

/** One place that knows of applications: a package manager, the registry, a directory of bundles. */
export type ApplicationSource = {
  name: string;
  /** Empty where the machine has no such place. */
  list(): Promise<readonly Application[]>;
};

/** The standard output of a program; empty where there is no such program, or it fails or takes too long. */
export type ReadCommand = (program: string, args: readonly string[]) => Promise<string>;
