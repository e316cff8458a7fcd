import { resolve } from "node:path";
import { type Command, Option } from "commander";
import type { DeliveryView, HookCheck, HookSummary, HookTrial } from "../../api/commands/hooks.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { Cli } from "../cli.ts";
import { Refusal } from "../failure.ts";
import { localTime, table, visible, visibleLines } from "../for-people.ts";
import { count } from "../list-options.ts";

type DeliveryOptions = { failed?: true; hook?: string; connection?: string; limit?: number };

/** `sallyport hook …`: connection hooks, which the configuration file defines, and what they were told. */
export function register(program: Command, cli: Cli): void {
  const hook = program.command("hook").description("connection hooks and their deliveries");
  hook
    .command("list")
    .description("the hooks in the order they are asked")
    .action(async () => {
      cli.printList(await cli.call<HookSummary[]>("hook-list", {}), "No hook is configured.", peopleHooks);
    });
  hook
    .command("check <file>")
    .description("look at a program without running it: whether it can be a hook, and what is wrong with it")
    .action(async (file: string) => {
      const checked = await cli.call<HookCheck>("hook-check", { path: resolve(file) });
      cli.print(checked, peopleCheck);
      const faults = checked.findings.filter(({ severity }) => severity === "fault").length;
      if (!checked.ok)
        throw refused("hook-failed", `${file} has ${faults === 1 ? "a fault" : `${faults} faults`}`, mend);
    });
  hook
    .command("test <name>")
    .description("tell a hook, for real, of a connection that never was, and print what it answers")
    .addOption(new Option("--event <event>", "only this event").choices(["connect", "disconnect"]))
    .action(async (name: string, { event }: { event?: string }) => {
      const trials = await cli.call<HookTrial[]>("hook-test", { name, event });
      cli.print(trials, (all) => all.map(peopleTrial).join(""));
      const failed = trials.find(({ answer }) => answer !== "yes");
      if (failed) throw failureOf(failed);
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
    .command("discard <id>")
    .description("decide that a hook need not hear what it failed to hear, or still waits for")
    .action(async (id: string) => {
      const delivery = await cli.call<DeliveryView>("delivery-discard", { id });
      cli.print(delivery, () => `Delivery ${visible(id)} to ${visible(delivery.hook)} is discarded.\n`);
    });
  hook
    .command("retry <id>")
    .description("tell a hook again what it failed to hear")
    .action(async (id: string) => {
      const delivery = await cli.call<DeliveryView>("delivery-retry", { id });
      cli.print(delivery, () => `Delivery ${visible(id)} to ${visible(delivery.hook)} is tried again.\n`);
    });
}

const mend = "Mend it and check again.";

function refused(code: ErrorCode, message: string, next: string): Refusal {
  return new Refusal({ code, message, next });
}

function failureOf({ answer, failure, error, event }: HookTrial): Refusal {
  if (answer === "no") {
    return refused("hook-refused", `${event}: ${error ?? "the hook said no"}`, "Nothing, if it should say no to this.");
  }
  const code = failure === "timed-out" ? "hook-timed-out" : "hook-failed";
  return refused(code, `${event}: ${error ?? "the hook gave no answer"}`, "Mend the hook and test it again.");
}

function peopleHooks(hooks: readonly HookSummary[]): string {
  return table(
    ["NAME", "TARGET", "EVENTS", "VETO", "DEADLINE", "NO ANSWER MEANS"],
    hooks.map((one) => [
      one.id,
      one.target,
      one.events.join(", "),
      one.veto ? "yes" : "no",
      `${one.deadlineMs / 1000} s`,
      one.veto ? one.onFailure : "try again",
    ]),
  );
}

function peopleCheck({ id, findings }: HookCheck): string {
  if (findings.length === 0) return `${visible(id)} can be a hook; nothing was found wrong with it.\n`;
  const lines = findings.map(({ severity, line, column, message }) => {
    const place = line === null ? "" : `line ${line}${column === undefined ? "" : `, column ${column}`}: `;
    // A compiler says why below what is wrong.
    return `${severity}: ${place}${visibleLines(message.trimEnd()).replaceAll("\n", "\n  ")}\n`;
  });
  return lines.join("");
}

function peopleTrial({ hook, event, answer, durationMs, output }: HookTrial): string {
  const words = { yes: "said yes", no: "said no", failed: "gave no answer" }[answer];
  const printed = output.trimEnd();
  const block = printed === "" ? "" : `It printed:\n${visibleLines(printed).replace(/^/gm, "  ")}\n`;
  return `Hook ${visible(hook)} ${words} to a ${event} after ${durationMs} ms.\n${block}`;
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
