/** One program that is installed. Sources that know it by several names give them all. */
export type Application = { names: readonly string[]; version?: string };

/** One place that knows of applications: a package manager, the registry, a directory of bundles. */
export type ApplicationSource = {
  name: string;
  list(): Promise<readonly Application[]>;
};
