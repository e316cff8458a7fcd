import { SallyportError } from "../../core/errors.ts";
import type { Tunnel } from "../../core/vpn-event.ts";
import { addListeners } from "../add-listeners.ts";
import type { Driver, DriverEvents } from "../driver.ts";
import type {
  InterfaceStatus,
  WireGuardAnswer,
  WireGuardDriverOptions,
  WireGuardInterface,
  WireGuardRequest,
} from "./driver-terms.ts";
import { Listener } from "./listener.ts";

export type * from "./driver-terms.ts";

export interface WireGuardDriver extends Driver {
  /**
   * Puts a device's request through the lifecycle (`asked`) and resolves with its answer. Once it says `admitted`, the
   * peer is on the interface. A challenge is a refusal for whoever cannot answer; who can, asks again with the answer.
   * @throws SallyportError `invalid-input` for a malformed key, `conflict` where this key is being asked for or belongs
   * to a peer of somebody else, `driver-failed` where the interface could not be told, `connection-ended` at a stop
   */
  request(request: WireGuardRequest): Promise<WireGuardAnswer>;
  /**
   * Brings the interface to exactly the expected peers: after client configs were issued (handshake trigger), revoked,
   * or have expired. `gone` is called for those that were let in. Peers that are right already are not touched.
   * @throws SallyportError `driver-failed`
   */
  synchronise(profileId: string): Promise<void>;
  interfaces(): InterfaceStatus[];
  /**
   * Takes more interfaces in while it runs, all or none, and resolves with what takes them away again. One of somebody
   * else's may come later, as at the start.
   * @throws SallyportError `driver-failed` where one of ours is not up
   */
  add(interfaces: readonly WireGuardInterface[]): Promise<() => Promise<void>>;
}

/**
 * The driver of WireGuard interfaces, ours and those of others. Nothing runs before `start`. Who is let in lives on the
 * interface as a peer with exactly its addresses; WireGuard itself asks nobody. Answers that nobody waits for any more
 * fail with `connection-ended`, others that the interface could not be told with `driver-failed`.
 */
export function createWireGuardDriver(options: WireGuardDriverOptions): WireGuardDriver {
  const made = (interfaces: readonly WireGuardInterface[]): Map<string, Listener> => {
    const listeners = new Map<string, Listener>();
    for (const one of interfaces) {
      if (listeners.has(one.interface))
        throw new SallyportError("config-invalid", `two profiles have the WireGuard interface ${one.interface}`);
      listeners.set(one.interface, new Listener(one, options));
    }
    return listeners;
  };
  const listeners = made(options.interfaces);
  let started: DriverEvents | undefined;
  const of = ({ listener }: Tunnel): Listener => {
    const found = listeners.get(listener);
    // Of an interface that was taken out of the configuration.
    if (found === undefined) throw new SallyportError("connection-ended", `there is no interface ${listener}`);
    return found;
  };
  const all = (work: (listener: Listener) => Promise<void>) => Promise.all([...listeners.values()].map(work));

  return {
    start: async (events) => {
      started = events;
      await all((listener) => listener.start(events));
    },
    add: (more) => addListeners({ present: listeners, added: made(more), events: started, faultOf }),
    stop: async (how) => void (await all((listener) => listener.stop(how))),
    admit: async (tunnel, admission) => of(tunnel).admit(tunnel, admission),
    refuse: async (tunnel, refusal) => of(tunnel).refuse(tunnel, refusal),
    challenge: async (tunnel, question) => of(tunnel).challenge(tunnel, question),
    // Nobody is asked on the tunnel itself.
    answer: () => false,
    announceWait: async () => undefined,
    disconnect: async (tunnel) => of(tunnel).disconnect(tunnel),
    request: async (request) => of(request.tunnel).request(request),
    synchronise: async (profileId) => {
      await all(async (listener) => {
        if (listener.profileId === profileId) await listener.synchronise();
      });
    },
    interfaces: () => Array.from(listeners.values(), (listener) => listener.status()),
  };
}

function faultOf(listener: Listener): string | undefined {
  const { profileId, interface: name, ours, state, failure } = listener.status();
  if (!ours || state === "up") return undefined;
  return `the interface ${name} of ${profileId} did not come up: ${failure ?? "the log says why"}`;
}
