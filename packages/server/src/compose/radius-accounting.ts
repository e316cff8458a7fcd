import type { Config, HookConfig } from "../config/config.ts";
import type { Log } from "../core/log.ts";
import { startInterim } from "../hooks/interim.ts";
import { nameOf, type RadiusAccounting, radiusAccounting } from "../hooks/kinds/radius-accounting.ts";
import { createRadiusClient, type RadiusClient } from "../radius/client.ts";
import type { Ledger } from "../store/store.ts";

type AccountingHook = Extract<HookConfig, { kind: "radiusAccounting" }>;

/** The hooks that are RADIUS servers: one client for all, made when it is first needed, and interims for each. */
export function composeAccounting(options: {
  node: Config["node"];
  ledger: Pick<Ledger, "get" | "unfinished">;
  log: Log;
}) {
  const { node, ledger, log } = options;
  let client: RadiusClient | undefined;
  let rounds: { stop(): void }[] = [];
  const stop = () => {
    for (const round of rounds) round.stop();
    rounds = [];
  };
  const of = ({ servers }: AccountingHook): RadiusAccounting => {
    client ??= createRadiusClient();
    return radiusAccounting({ servers, client, nasIdentifier: node.hostName, connection: ledger.get });
  };
  const open = async () => {
    const rows = await ledger.unfinished({ nodeNumber: node.number });
    return rows.filter(({ state }) => state === "admitted" || state === "open");
  };
  return {
    of,
    target: ({ servers }: AccountingHook) => `radiusAccounting ${servers.map(nameOf).join(", ")}`,
    refresh(hooks: readonly HookConfig[]) {
      stop();
      rounds = hooks
        .filter((hook) => hook.kind === "radiusAccounting")
        .map((hook) => {
          const { interim } = of(hook);
          return startInterim({ name: hook.name, everyMs: hook.interimMs, open, tell: interim, log });
        });
    },
    close() {
      stop();
      client?.close();
    },
  };
}
