import { resolve } from "node:path";
import { type Command, Option } from "commander";
import type { DeliveryView, HookCheck, HookTest, HookView } from "../../api/commands/hooks.ts";
import type { Cli } from "../cli.ts";
import { Refusal } from "../failure.ts";
import { localTime, table, visible, visibleLines } from "../for-people.ts";
import { count } from "../list-options.ts";

type DeliveryOptions = { failed?: true; hook?: string; connection?: string; limit?: number };
type TestOptions = { event: string; user?: string; profile?: string };

/** `sallyport hook …`: connection hooks, which the configuration file defines, and what they were told. */
export function register(program: Command, cli: Cli): void {
  const hook = program.command("hook").description("connection hooks and their deliveries");
  hook
    .command("list")
    .description("the hooks in the order they are asked")
    .action(async () => {
      cli.printList(await cli.call<HookView[]>("hook-list", {}), "No hook is configured.", peopleHooks);
    });
  hook
    .command("check <file>")
    .description("whether a program could be started as a hook, without starting it")
    .action(async (file: string) => {
      const checked = await cli.call<HookCheck>("hook-check", { path: resolve(file) });
      cli.print(checked, ({ id, fault, interpreter }) => {
        if (fault !== null) return "";
        return `${visible(id)} can be a hook${interpreter === null ? "" : `; ${visible(interpreter)} runs it`}.\n`;
      });
      if (checked.fault !== null) throw refused("hook-failed", checked.fault, "Mend it and check again.");
    });
  hook
    .command("test <name>")
    .description("tell a hook of a made-up connection, for real, and print what it answers")
    .addOption(new Option("--event <event>", "which event").choices(["connect", "disconnect"]).default("connect"))
    .option("--user <name>", "the made-up connection's user")
    .option("--profile <id>", "its profile")
    .action(async (name: string, { event, user, profile }: TestOptions) => {
      const tested = await cli.call<HookTest>("hook-test", { name, event, userId: user, profileId: profile });
      cli.print(tested, peopleTest);
      if (tested.answer === "no") throw refused("hook-refused", tested.error ?? "the hook said no", nothing);
      if (tested.answer === "failed") {
        const code = tested.failure === "timed-out" ? "hook-timed-out" : "hook-failed";
        throw refused(code, tested.error ?? "the hook gave no answer", "Mend the hook and test it again.");
      }
    });
  hook
    .command("deliveries")
    .description("what hooks were told, newest first; 100 unless told")
    .option("--failed", "only those given up")
    .option("--hook <name>", "only this hook's")
    .option("--connection <id>", "only this connection's")
    .option("--limit <count>", "at most so many", count)
    .action(async (options: DeliveryOptions) => {
      const { hook, connection: sessionId, limit } = options;
      const filter = { state: options.failed ? "failed" : undefined, hook, sessionId, limit };
      const none = options.failed ? "No delivery has failed." : "No delivery is recorded.";
      cli.printList(await cli.call<DeliveryView[]>("delivery-list", filter), none, peopleDeliveries);
    });
  hook
    .command("retry <id>")
    .description("tell a hook again what it failed to hear")
    .action(async (id: string) => {
      const delivery = await cli.call<DeliveryView>("delivery-retry", { id });
      cli.print(delivery, () => `Delivery ${visible(id)} to ${visible(delivery.hook)} is tried again.\n`);
    });
}

const nothing = "Nothing, if it should say no to such a connection.";

function refused(code: string, message: string, next: string): Refusal {
  return new Refusal({ code, message, next });
}

function peopleHooks(hooks: readonly HookView[]): string {
  return table(
    ["NAME", "TARGET", "EVENTS", "VETO", "DEADLINE", "NO ANSWER MEANS"],
    hooks.map((one) => [
      one.name,
      one.target,
      one.events.join(", "),
      one.veto ? "yes" : "no",
      `${one.deadlineMs / 1000} s`,
      one.veto ? one.onFailure : "try again",
    ]),
  );
}

function peopleTest({ id, answer, durationMs, output }: HookTest): string {
  const words = { yes: "said yes", no: "said no", failed: "gave no answer" }[answer];
  const printed = output.trimEnd();
  const block = printed === "" ? "" : `It printed:\n${visibleLines(printed).replace(/^/gm, "  ")}\n`;
  return `Hook ${visible(id)} ${words} after ${durationMs} ms.\n${block}`;
}

function peopleDeliveries(deliveries: readonly DeliveryView[]): string {
  return table(
    ["ID", "TIME", "HOOK", "EVENT", "USER", "STATE", "ATTEMPTS", "NEXT", "ERROR"],
    deliveries.map((one) => [
      one.id,
      localTime(one.createdAt),
      one.hook,
      one.event,
      one.userId ?? "-",
      one.state,
      String(one.attempts),
      one.state === "waiting" ? localTime(one.nextAt) : "-",
      one.error ?? "",
    ]),
  );
}
