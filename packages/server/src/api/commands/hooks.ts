import { z } from "zod";
import type { Connection } from "../../core/connection.ts";
import { type Delivery, deliveryStates } from "../../core/hook.ts";
import type { Finding } from "../../hooks/check/finding.ts";
import type { HookOperations, HookSummary, HookTrial } from "../../hooks/operations.ts";
import { type CommandTable, command } from "../command.ts";
import { id, limit, name } from "../input.ts";

export type { HookSummary, HookTrial };

/** A delivery, and whose connection it tells of. */
export type DeliveryView = Delivery & { userId: string | null; profileId: string | null };

/** `ok`: no finding is a fault. */
export type HookCheck = { id: string; ok: boolean; findings: Finding[] };

/** Hooks are the configuration file's; here they are looked at, tried, and told again. */
export function hookCommands(deps: {
  hooks: HookOperations;
  connection: (id: string) => Promise<Connection | undefined>;
}): CommandTable {
  const { hooks } = deps;
  const viewOf = async (delivery: Delivery): Promise<DeliveryView> => {
    const connection = await deps.connection(delivery.sessionId);
    return { ...delivery, userId: connection?.userId ?? null, profileId: connection?.profileId ?? null };
  };

  return {
    "hook-list": command({
      summary: "The hooks in the order they are asked.",
      input: z.strictObject({}),
      run: async (): Promise<HookSummary[]> => hooks.list(),
    }),
    "hook-check": command({
      summary: "Looks at a program without running it: whether it can be a hook, and what is wrong with it.",
      input: z.strictObject({ path: z.string().regex(/^\/[^\0]*$/, "expected an absolute path") }),
      run: async ({ path }): Promise<HookCheck> => {
        const findings = await hooks.check(path);
        return { id: path, ok: findings.every(({ severity }) => severity !== "fault"), findings };
      },
    }),
    "hook-test": command({
      summary: "Tells a hook of a connection that never was. What the hook does, it does.",
      input: z.strictObject({ name, event: z.enum(["connect", "disconnect"]).optional() }),
      run: async ({ name: wanted, event }): Promise<(HookTrial & { id: string })[]> =>
        (await hooks.test(wanted, event && { event })).map((trial) => ({ id: trial.eventId, ...trial })),
    }),
    "delivery-list": command({
      summary: "Deliveries, newest first.",
      input: z.strictObject({
        state: z.enum(deliveryStates).optional(),
        hook: name.optional(),
        sessionId: id.optional(),
        limit: limit(100),
      }),
      run: async (filter) => await Promise.all((await hooks.deliveries(filter)).map(viewOf)),
    }),
    "delivery-discard": command({
      summary: "Decides that a hook need not hear what it failed to hear, or still waits for.",
      input: z.strictObject({ id }),
      run: async (input) => await viewOf(await hooks.discard(input.id)),
    }),
    "delivery-retry": command({
      summary: "Tells a hook again what it failed to hear.",
      input: z.strictObject({ id }),
      run: async (input) => await viewOf(await hooks.retry(input.id)),
    }),
  };
}
