import { SallyportError } from "../core/errors.ts";
import type { DriverEvents } from "./driver.ts";

type Addable = { start(events: DriverEvents): Promise<void>; stop(how: "end" | "leave"): Promise<void> };

/**
 * Takes listeners in beside those that run, which are not touched: all of them, or none. Resolves, when each is served,
 * with what takes them away again.
 * @throws SallyportError `driver-failed` where one is not served; `conflict` where there is one of that name already
 */
export async function addListeners<Listener extends Addable>(options: {
  present: Map<string, Listener>;
  added: ReadonlyMap<string, Listener>;
  events: DriverEvents | undefined;
  /** Why it is not served, though it should be by now; undefined where all is well. */
  faultOf: (listener: Listener) => string | undefined;
}): Promise<() => Promise<void>> {
  const { present, added, events, faultOf } = options;
  if (events === undefined) throw new SallyportError("driver-failed", "the driver was not started");
  for (const name of added.keys()) {
    if (present.has(name)) throw new SallyportError("conflict", `there is a listener ${name} already`);
  }
  const takeAway = async () => {
    await Promise.all([...added.values()].map((listener) => listener.stop("end")));
    // Until here answers still find their tunnels.
    for (const name of added.keys()) present.delete(name);
  };
  for (const [name, listener] of added) present.set(name, listener);
  await Promise.all([...added.values()].map((listener) => listener.start(events)));
  const faults = [...added.values()].flatMap((listener) => faultOf(listener) ?? []);
  if (faults.length === 0) return takeAway;
  await takeAway();
  throw new SallyportError("driver-failed", faults.join("; "));
}
