import { parseRange } from "../../src/core/address-range.ts";
import { createLinuxNetwork } from "../../src/network/linux/linux-network.ts";

/**
 * The real network of a Linux machine, in the namespace this process was started in, spoken to from outside: each
 * message is a call, each answer its outcome. Killing it is a kill -9 of the daemon.
 */
type Call = { id: number; method: string; args: unknown[] };

const settings = JSON.parse(process.argv[2] ?? "{}");
const log = (level: string) => (fields: object, message: string) => {
  process.send?.({ log: { level, message, fields: JSON.parse(JSON.stringify(fields, errorsAsText)) } });
};
const errorsAsText = (_: string, value: unknown) =>
  typeof value === "bigint" ? `${value}` : value instanceof Error ? value.message : value;

let groupSubnets: string[] = settings.groupSubnets ?? [];
const network = createLinuxNetwork({
  table: settings.table,
  stateFile: settings.stateFile,
  groupSubnets: async () => groupSubnets.map(parseRange).filter((range) => range !== undefined),
  log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
  ...settings.options,
});

type Method = (...args: never[]) => Promise<unknown>;
const others: Record<string, Method> = {
  setGroupSubnets: async (subnets: string[]) => {
    groupSubnets = subnets;
  },
  admitAll: async (clients: Parameters<typeof network.admit>[0][]) =>
    Promise.all(clients.map((client) => network.admit(client).then(() => null, codeAndText))),
  releaseAll: async (ids: string[]) => void (await Promise.all(ids.map((id) => network.release(id)))),
};

function codeAndText(error: unknown): { code: string; message: string } {
  const { code, message } = error as { code: string; message: string };
  return { code, message };
}

process.on("message", async ({ id, method, args }: Call) => {
  const call = others[method] ?? (network[method as keyof typeof network] as Method).bind(network);
  try {
    process.send?.({ id, result: (await call(...(revive(args) as never[]))) ?? null });
  } catch (error) {
    process.send?.({ id, error: codeAndText(error) });
  }
});
process.on("disconnect", () => process.exit());
process.send?.({ ready: true });

/** Ranges travel as text. */
function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (typeof value !== "object" || value === null) return value;
  if ("range" in value && typeof value.range === "string") return parseRange(value.range);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, revive(one)]));
}
