import type { ConnectionEvent } from "@sallyport/protocol";
import { z } from "zod";
import type { Connection } from "../../core/connection.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Delivery, HookTerms, Telling } from "../../core/hook.ts";
import { newId } from "../../core/id.ts";
import type { NodeFacts } from "../../hooks/event.ts";
import { type BoundHook, tellSafely } from "../../hooks/tell.ts";
import type { ProgramRunner } from "../../runner/runner.ts";
import type { DeliveryStore } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { id, limit, name } from "../input.ts";

export type HookView = HookTerms & { id: string; target: string };

/** A delivery, and whose connection it tells of. */
export type DeliveryView = Delivery & { userId: string | null; profileId: string | null };

export type HookTest = Telling & { id: string; event: ConnectionEvent };

export type HookCheck = { id: string; interpreter: string | null; fault: string | null };

/** Hooks are the configuration file's; here they are looked at, tried, and told again. */
export function hookCommands(deps: {
  hooks: () => readonly BoundHook[];
  node: NodeFacts;
  inspect: ProgramRunner["inspect"];
  deliveries: Pick<DeliveryStore, "get" | "list" | "retry">;
  connection: (id: string) => Promise<Connection | undefined>;
  /** A delivery is due again. */
  wake: () => void;
}): CommandTable {
  const viewOf = async (delivery: Delivery): Promise<DeliveryView> => {
    const connection = await deps.connection(delivery.sessionId);
    return { ...delivery, userId: connection?.userId ?? null, profileId: connection?.profileId ?? null };
  };

  return {
    "hook-list": command({
      summary: "The hooks in the order they are asked.",
      input: z.strictObject({}),
      run: async (): Promise<HookView[]> =>
        deps.hooks().map(({ terms, target }) => ({ id: terms.name, ...terms, target })),
    }),
    "hook-check": command({
      summary: "Whether a program could be started as a hook, without starting it.",
      input: z.strictObject({ path: z.string().regex(/^\/[^\0]*$/, "expected an absolute path") }),
      run: async ({ path }): Promise<HookCheck> => ({ id: path, ...(await deps.inspect(path)) }),
    }),
    "hook-test": command({
      summary: "Tells a hook of a connection that does not exist, once. What the hook does, it does.",
      input: z.strictObject({
        name,
        event: z.enum(["connect", "disconnect"]).default("connect"),
        userId: name.default("test"),
        profileId: name.default("test"),
      }),
      run: async ({ name: wanted, event: kind, userId, profileId }): Promise<HookTest> => {
        const hook = deps.hooks().find(({ terms }) => terms.name === wanted);
        if (!hook) throw new SallyportError("not-found", `there is no hook ${JSON.stringify(wanted)}`);
        const event = sampleEvent({ kind, userId, profileId, node: deps.node });
        const telling = await tellSafely(hook, event, {
          deadlineMs: hook.terms.deadlineMs,
          abort: new AbortController().signal,
        });
        return { id: wanted, event, ...telling };
      },
    }),
    "delivery-list": command({
      summary: "Deliveries, newest first.",
      input: z.strictObject({
        state: z.enum(["waiting", "running", "done", "failed"]).optional(),
        hook: name.optional(),
        sessionId: id.optional(),
        limit: limit(100),
      }),
      run: async (filter) => await Promise.all((await deps.deliveries.list(filter)).map(viewOf)),
    }),
    "delivery-retry": command({
      summary: "Tells a hook again what it failed to hear.",
      input: z.strictObject({ id }),
      run: async (input): Promise<DeliveryView> => {
        if (!(await deps.deliveries.retry(input.id, new Date().toISOString()))) throw await notRetried(input.id);
        deps.wake();
        const delivery = await deps.deliveries.get(input.id);
        if (!delivery) throw await notRetried(input.id);
        return await viewOf(delivery);
      },
    }),
  };

  async function notRetried(wanted: string): Promise<SallyportError> {
    const delivery = await deps.deliveries.get(wanted);
    if (!delivery) return new SallyportError("not-found", `there is no delivery ${JSON.stringify(wanted)}`);
    return new SallyportError(
      "conflict",
      `the delivery ${wanted} is ${delivery.state}; only a failed one is told again`,
    );
  }
}

/** Addresses are those set aside for documentation (RFC 5737, RFC 3849): no machine has them. */
function sampleEvent(sample: {
  kind: "connect" | "disconnect";
  userId: string;
  profileId: string;
  node: NodeFacts;
}): ConnectionEvent {
  const { kind, userId, profileId, node } = sample;
  return {
    event: kind === "connect" ? "C" : "D",
    eventId: newId(),
    sessionId: newId(),
    attempt: 1,
    userId,
    profileId,
    connectionId: "test",
    ipFour: "192.0.2.2",
    ipSix: "2001:db8::2",
    ...(kind === "connect" && { originatingIp: "198.51.100.7" }),
    proto: "openvpn",
    ...(kind === "disconnect" && { bytesIn: 0, bytesOut: 0, durationSeconds: 0, disconnectReason: "client" }),
    nodeNumber: node.number,
    nodeUrl: node.url,
    nodeHostName: node.hostName,
  };
}
