import { join } from "node:path";
import { AgentFailure, exitStatuses, failureOf } from "../failure.ts";
import { asEntry } from "../fit-for-terminal.ts";
import type { Account } from "../machine/account.ts";
import { openAgentLog } from "../machine/agent-log.ts";
import { rootWords } from "../machine/as-root.ts";
import type { ServicePlaces } from "../machine/places.ts";
import { ownPlatform } from "../machine/system.ts";
import { openEventLog } from "../windows/event-log.ts";
import { hostUnderServiceManager } from "../windows/service-host.ts";
import { installService, removeService } from "../windows/service-install.ts";
import { installLaunchd, removeLaunchd } from "./launchd.ts";
import { serve } from "./serve.ts";
import { installSystemd, removeSystemd } from "./systemd.ts";

/** What the service finds around it. */
export type ServiceSurroundings = {
  account: Pick<Account, "isRoot">;
  machine: ServicePlaces;
  /** To whoever started it by hand. */
  tell: (text: string) => void;
  print: (text: string) => void;
  stop: AbortSignal;
};

export type ServiceOptions = { install: boolean; remove: boolean; openVpnProgram: string | undefined };

/** Who starts services on each system. */
const startersOfServices = {
  linux: { install: installSystemd, remove: removeSystemd },
  mac: { install: installLaunchd, remove: removeLaunchd },
  win: { install: installService, remove: removeService },
} as const;

/** `sallyport-agent service`: serves until it is asked to stop, by whatever started it. */
export async function runService(options: ServiceOptions, around: ServiceSurroundings): Promise<void> {
  if (options.install && options.remove) throw new AgentFailure("usage", "Say --install or --remove.");
  if (options.install || options.remove) {
    mustBeRoot(around);
    const { install, remove } = startersOfServices[ownPlatform()];
    return options.install ? await install({ openVpnProgram: options.openVpnProgram }, around) : await remove(around);
  }
  if (ownPlatform() === "win" && (await serveForServiceManager(options, around))) return;
  const { tell, stop } = around;
  const service = await start(options, around, (text) => tell(asEntry(text)));
  await new Promise<void>((stopped) => {
    if (stop.aborted) stopped();
    stop.addEventListener("abort", () => stopped());
  });
  await service.close();
}

async function start(options: ServiceOptions, around: ServiceSurroundings, log: (text: string) => void) {
  mustBeRoot(around);
  const { machine } = around;
  return await serve({
    socketPath: machine.socket,
    policyPath: machine.policy,
    directory: machine.directory,
    openVpnProgram: options.openVpnProgram,
    connectDeadlineMs: 300_000,
    disconnectDeadlineMs: 15_000,
    log,
  });
}

function mustBeRoot({ account }: ServiceSurroundings): void {
  const { root, become } = rootWords();
  if (!account.isRoot) throw new AgentFailure("not-permitted", `The service runs as ${root}.`, become);
}

/** False where Windows' service manager did not start us. There is no terminal then: it says what it says in a file. */
async function serveForServiceManager(options: ServiceOptions, around: ServiceSurroundings): Promise<boolean> {
  const log = openAgentLog(join(around.machine.directory, "service.log"));
  const end = await hostUnderServiceManager(async () => {
    const report = await openEventLog();
    // It ends with the process, which services.exe then starts again.
    process.on("uncaughtExceptionMonitor", (error) => report(error.stack ?? error.message));
    return {
      start: () => start(options, around, log.write),
      onFailure: (error) => {
        const { kind, message, next } = failureOf(error);
        const text = next === undefined ? message : `${message} ${next}`;
        log.write(text);
        report(text);
        return exitStatuses[kind];
      },
    };
  });
  await log.written();
  return end !== undefined;
}
