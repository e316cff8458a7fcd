import type { EndReason } from "../core/connection.ts";
import type { GraceMs, Ledger, Reservation } from "../store/store.ts";

/** Ends after which a device may be back soon. Whoever was sent away is told of at once. */
const mayComeBack: readonly EndReason[] = ["client", "replaced", "node-lost", "shutdown"];

/**
 * The ledger as the connections' verbs have it, with the hooks' grace periods put in: they need not know of them.
 * A reservation's first try waits for the address the device had; when it is tried again, any will do.
 */
export function withGrace(ledger: Ledger, graceMs: () => GraceMs): Ledger {
  const tried = new WeakSet<Reservation>();
  return {
    ...ledger,
    reserve: async (reservation) => {
      const awaitAddress = !tried.has(reservation);
      tried.add(reservation);
      return await ledger.reserve({ ...reservation, graceMs: graceMs(), awaitAddress });
    },
    admit: (id, admission) => ledger.admit(id, { ...admission, graceMs: graceMs() }),
    end: (id, end) => ledger.end(id, mayComeBack.includes(end.reason) ? { ...end, graceMs: graceMs() } : end),
  };
}
