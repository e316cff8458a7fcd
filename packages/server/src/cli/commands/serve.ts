import type { Command } from "commander";
import type { Cli } from "../cli.ts";

/** `sallyport serve`: the daemon itself, in the foreground. */
export function register(program: Command, cli: Cli): void {
  program
    .command("serve")
    .description("run the daemon in the foreground until SIGTERM")
    .action(async () => {
      const { serve } = await import("../../compose/serve.ts");
      process.exit(await serve(cli.configFile, cli.io.stopSignal));
    });
}
