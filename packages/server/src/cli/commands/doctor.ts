import { resolve } from "node:path";
import type { Command } from "commander";
import type { Examination, Finding } from "../../api/commands/doctor.ts";
import type { Cli } from "../cli.ts";
import { Refusal } from "../failure.ts";
import { visible } from "../for-people.ts";

/** `sallyport doctor`: what a working server needs, checked; with exit status 1 where something of it is missing. */
export function register(program: Command, cli: Cli): void {
  program
    .command("doctor")
    .description("check everything a working server needs, and say how to mend what fails")
    .option("--openvpn-config <file>", "configuration of the server that a profile attaches to")
    .action(async ({ openvpnConfig }: { openvpnConfig?: string }) => {
      const { examine } = await import("../../compose/doctor.ts");
      const findings = await examine({
        configFile: cli.configFile,
        environment: cli.io.environment,
        openvpnConfig: openvpnConfig === undefined ? undefined : resolve(openvpnConfig),
        askDaemon: () => cli.call<Examination>("doctor-examine", {}),
      });
      cli.print(findings, forPeople);
      const faults = findings.filter(({ state }) => state === "fault").length;
      if (faults > 0) throw refused(faults);
    });
}

function forPeople(findings: readonly Finding[]): string {
  return findings
    .map(({ state, what, next }) => {
      const advice = next === null ? "" : `\n         ${visible(next)}`;
      return `${state.padEnd(7)}  ${visible(what)}${advice}\n`;
    })
    .join("");
}

function refused(faults: number): Refusal {
  const message = faults === 1 ? "there is a fault" : `there are ${faults} faults`;
  return new Refusal({ code: "faults-found", message, next: "Mend them as the lines above say, and run it again." });
}
