import { UsageError } from "./failure.ts";

export type GlobalOptions = { json: boolean; configFile: string | undefined; rest: string[] };

/** Takes `--json` and `--config FILE` out of the arguments, wherever they stand before a `--`. */
export function takeGlobalOptions(argv: readonly string[]): GlobalOptions {
  const taken: GlobalOptions = { json: false, configFile: undefined, rest: [] };
  const ahead = [...argv];
  for (let word = ahead.shift(); word !== undefined; word = ahead.shift()) {
    if (word === "--") {
      taken.rest.push(word, ...ahead);
      break;
    }
    if (word === "--json") taken.json = true;
    else if (word === "--config") taken.configFile = fileNamed(ahead.shift());
    else if (word.startsWith("--config=")) taken.configFile = fileNamed(word.slice("--config=".length));
    else taken.rest.push(word);
  }
  return taken;
}

function fileNamed(file: string | undefined): string {
  if (file === undefined || file === "") throw new UsageError("--config needs the name of a file");
  return file;
}
