import { resolve } from "node:path";

export const standardConfigFile = "/etc/sallyport/sallyport.yaml";

/** Where the configuration is: what the command line names, then `$SALLYPORT_CONFIG`, then the standard place. Absolute. */
export function findConfigFile(from: {
  explicit: string | undefined;
  environment: Readonly<Record<string, string | undefined>>;
}): string {
  return resolve(from.explicit || from.environment.SALLYPORT_CONFIG || standardConfigFile);
}
