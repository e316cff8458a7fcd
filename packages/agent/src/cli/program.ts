import { win32 } from "node:path";
import { parseArgs } from "node:util";
import { AgentFailure, exitStatuses, failureOf } from "../failure.ts";
import { onLines, onOneLine } from "../fit-for-terminal.ts";
import { ownAccount } from "../machine/account.ts";
import { placesOf, type ServicePlaces, servicePlaces } from "../machine/places.ts";
import { ownPlatform } from "../machine/system.ts";
import { version } from "../machine/version.ts";
import { systemFolders } from "../windows/system-folders.ts";
import { commands, usage } from "./commands.ts";
import { questionsOn } from "./questions.ts";
import { stopRequests } from "./stop-requests.ts";
import type { Surroundings } from "./surroundings.ts";

/**
 * Carries out one command line and gives its exit status (failure.ts). Never throws. Results go to standard output,
 * what is said to the person to standard error.
 */
export async function runAgent(argv: readonly string[], environment: NodeJS.ProcessEnv = process.env): Promise<number> {
  const tell = (text: string) => void process.stderr.write(`${onLines(text)}\n`);
  const { stop, hurry, interrupt } = stopRequests(process, () => process.exit(exitStatuses.interrupted));
  const questions = questionsOn({ stdin: process.stdin, stderr: process.stderr, onInterrupt: interrupt });
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
  try {
    const [name = "", ...rest] = argv;
    if (name === "" || name === "help" || name === "--help" || name === "-h" || rest.includes("--help")) {
      (name === "" ? process.stderr : process.stdout).write(usage);
      return name === "" ? exitStatuses.usage : 0;
    }
    if (name === "--version") {
      process.stdout.write(`${version}\n`);
      return 0;
    }
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command === undefined)
      throw new AgentFailure("usage", `There is no command ${onOneLine(name)}.`, "See sallyport-agent --help.");
    const account = await ownAccount();
    if (ownPlatform() === "win") Object.assign(environment, await systemFolders());
    const around: Surroundings = {
      account,
      places: placesOf(account, environment, ownPlatform()),
      machine: machineOf(environment),
      environment,
      questions,
      tell,
      print: (text) => void process.stdout.write(text),
      stop,
      hurry,
    };
    await command.run(parsed(rest, command.options), around);
    return 0;
  } catch (error) {
    const { kind, message, next } = failureOf(error);
    tell(`sallyport-agent: ${message}`);
    if (next !== undefined) tell(next);
    return exitStatuses[kind];
  } finally {
    questions.close();
  }
}

/** Tests put the machine's own files elsewhere; a service is started by its owner, in an environment of theirs. */
function machineOf(environment: NodeJS.ProcessEnv): ServicePlaces {
  const other = environment.SALLYPORT_AGENT_SERVICE;
  if (ownPlatform() === "win" && other !== undefined && win32.isAbsolute(other))
    return {
      policy: win32.join(other, "policy.json"),
      socket: `\\\\.\\pipe\\sallyport-agent-${win32.basename(other)}`,
      directory: win32.join(other, "state"),
    };
  return other?.startsWith("/")
    ? { policy: `${other}/policy.json`, socket: `${other}/run/service.sock`, directory: `${other}/state` }
    : servicePlaces(ownPlatform(), environment);
}

function parsed(args: readonly string[], options: Parameters<typeof parseArgs>[0]): ReturnType<typeof parseArgs> {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, ...options });
  } catch (error) {
    throw new AgentFailure("usage", (error as Error).message, "See sallyport-agent --help.");
  }
}
