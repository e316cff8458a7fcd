import type { Examination, Finding } from "../api/commands/doctor.ts";
import type { Config } from "../config/config.ts";
import { faultText } from "../config/faults.ts";
import { readConfig } from "../config/load.ts";
import { checkProgram } from "../hooks/check/check-program.ts";
import { createProgramRunner } from "../runner/programs/program-runner.ts";
import { examineAttachedServers } from "./doctor/attached-servers.ts";
import { examineDataDirectory } from "./doctor/data-directory.ts";
import { fault, ok, warning } from "./doctor/finding.ts";
import { examineHostName, examineMachine, examinePython, examineWireGuard } from "./doctor/machine.ts";
import { examineGeoIp } from "./geo-ip.ts";

/**
 * Checks everything a working server needs, and says of what is not so how to mend it. Runs as its own process, so that it
 * also helps where the daemon does not start; what only the daemon knows is asked of it, where it answers.
 */
export async function examine(options: {
  configFile: string;
  environment: Readonly<Record<string, string | undefined>>;
  /** The configuration of a server of somebody else's. */
  openvpnConfig: string | undefined;
  askDaemon: () => Promise<Examination>;
}): Promise<Finding[]> {
  const machine = await examineMachine();
  const read = await readConfig({ file: options.configFile, environment: options.environment });
  if ("faults" in read) {
    const next = `Correct ${options.configFile}; docs/config.md explains every key.`;
    const daemon = await askedDaemon(options.askDaemon);
    return [...machine, ...read.faults.map((one) => fault("config", faultText(one), next)), ...daemon.findings];
  }
  const { config } = read;
  const daemon = await askedDaemon(options.askDaemon);
  const { openvpnConfig } = options;
  return [
    ...machine,
    ok("config", `${config.file} has no faults`),
    ...config.warnings.map((text) => warning("config", text, "See docs/config.md.")),
    await examinePython(config),
    ...(await examineWireGuard(config)),
    ...(await examineDataDirectory(config)),
    ...(await examineHostName(config)),
    ...(await examineHooks(config)),
    ...(await examineGeoIp(config)),
    ...daemon.findings,
    ...(await examineAttachedServers(config, { openvpnConfig, daemon })),
  ];
}

async function askedDaemon(ask: () => Promise<Examination>): Promise<Examination & { runs: boolean }> {
  try {
    const { findings, ...facts } = await ask();
    return { findings: [ok("daemon", "the daemon runs and answers"), ...findings], ...facts, runs: true };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const unknown = "not checked: listeners, active scripts, settings of auth methods, forwarding, group subnets";
    const next = "Start it (sallyport serve), and run this again.";
    const what = `the daemon does not answer (${reason}); ${unknown}`;
    return { findings: [warning("daemon", what, next)], attached: [], groupSubnets: [], runs: false };
  }
}

async function examineHooks({ hooks }: Config): Promise<Finding[]> {
  const runner = createProgramRunner({ log: { debug() {}, info() {}, warn() {}, error() {} } });
  const found: Finding[] = [];
  for (const hook of hooks) {
    if (hook.kind !== "script") continue;
    const id = `hook.${hook.name}`;
    const findings = await checkProgram(hook.path, runner);
    if (findings.length === 0) found.push(ok(id, `${hook.path} can be run`));
    for (const { severity, line, message } of findings) {
      const next = `Mend it, then: sallyport hook check ${hook.path}`;
      found.push({
        id,
        state: severity,
        what: `${hook.path}: ${line === null ? "" : `line ${line}: `}${message}`,
        next,
      });
    }
  }
  return found;
}
