import { takeGlobalOptions } from "./global-options.ts";

/**
 * The first SIGTERM or SIGINT from now on, where the command line is one of `serve`, which ends in good order however
 * early it is told to: loading the daemon takes a while. Other commands die of signals, as programs do.
 */
export function stopSignalFor(argv: readonly string[]): Promise<NodeJS.Signals> | undefined {
  if (commandOf(argv) !== "serve") return undefined;
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, resolve);
  });
}

function commandOf(argv: readonly string[]): string | undefined {
  try {
    return takeGlobalOptions(argv).rest.find((word) => !word.startsWith("-"));
  } catch {
    // What is wrong with it is told by whoever carries it out.
    return undefined;
  }
}
