import type { Command } from "commander";
import type { Installation } from "../../compose/setup.ts";
import type { Cli } from "../cli.ts";

/** `sallyport setup`: a configuration and a first administrator where there are none. */
export function register(program: Command, cli: Cli): void {
  program
    .command("setup")
    .description("make a configuration, a data directory and a first administrator where there are none")
    .action(async () => {
      const { setup } = await import("../../compose/setup.ts");
      cli.print(await setup(cli.configFile), forPeople);
    });
}

function forPeople({ configFile, configMade, dataDirectory, url, administrator }: Installation): string {
  const lines = [
    `Configuration   ${configFile}${configMade ? " (made now)" : ""}`,
    `Data directory  ${dataDirectory}`,
    `URL             ${url}`,
  ];
  if (administrator !== null) {
    lines.push(`Administrator   ${administrator.name}`, `Password        ${administrator.password}`);
    lines.push("This password is shown once. Change it with: sallyport user password admin");
  }
  return `${lines.join("\n")}\n`;
}
