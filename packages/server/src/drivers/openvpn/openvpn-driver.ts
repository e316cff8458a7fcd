import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { Tunnel } from "../../core/vpn-event.ts";
import { addListeners } from "../add-listeners.ts";
import type { Driver, DriverEvents } from "../driver.ts";
import { AttachedListener, type AttachedListenerOptions } from "./attached.ts";
import type { Clients } from "./clients.ts";
import { Listener, type OpenVpnListenerOptions } from "./listener.ts";
import type { ListenerStatus } from "./listener-status.ts";

export type { AttachedListenerOptions, ManagementPlace } from "./attached.ts";
export type { OpenVpnListenerOptions } from "./listener.ts";
export type { ListenerStatus } from "./listener-status.ts";

export type OpenVpnDriver = Driver & {
  listeners(): ListenerStatus[];
  /**
   * Takes more listeners in while it runs, all or none, and resolves with what takes them away again. A server of somebody
   * else's may come later, as at the start.
   * @throws SallyportError `driver-failed` where one of ours is not served
   */
  add(listeners: readonly (OpenVpnListenerOptions | AttachedListenerOptions)[]): Promise<() => Promise<void>>;
};

/**
 * The driver of OpenVPN servers: those that are ours, one process a listener, and those of others that it is attached to,
 * any number of either a profile. Nothing runs before `start`. Answers for a tunnel that is gone fail with `connection-ended`, others that OpenVPN could
 * not be told with `driver-failed`.
 */
export function createOpenVpnDriver(options: {
  listeners: readonly (OpenVpnListenerOptions | AttachedListenerOptions)[];
  log: Log;
}): OpenVpnDriver {
  const { log } = options;
  const listeners = made(options.listeners, log);
  let started: DriverEvents | undefined;
  const clientsOf = (tunnel: Tunnel): Clients => {
    const listener = listeners.get(nameOf(tunnel));
    if (listener === undefined) {
      // Of a listener that was taken out of the configuration.
      throw new SallyportError("connection-ended", `${tunnel.profileId} has no listener ${tunnel.listener}`);
    }
    return listener.clients;
  };
  const all = (work: (listener: Listener | AttachedListener) => Promise<void>) =>
    Promise.all([...listeners.values()].map(work));

  return {
    start: async (events) => {
      started = events;
      await all((listener) => listener.start(events));
    },
    add: (more) => addListeners({ present: listeners, added: made(more, log), events: started, faultOf }),
    stop: async (how) => void (await all((listener) => listener.stop(how))),
    admit: async (tunnel, admission) => clientsOf(tunnel).admit(tunnel, admission),
    refuse: async (tunnel, refusal) => clientsOf(tunnel).refuse(tunnel, refusal),
    challenge: async (tunnel, question) => clientsOf(tunnel).challenge(tunnel, question),
    answer: (stateId, response) => [...listeners.values()].some(({ clients }) => clients.answer(stateId, response)),
    announceWait: async (tunnel, waitMs) => clientsOf(tunnel).announceWait(tunnel, waitMs),
    listeners: () => [...listeners.values()].map((listener) => listener.status()),
    disconnect: async (tunnel, ending) => clientsOf(tunnel).disconnect(tunnel, ending),
  };
}

function made(
  options: readonly (OpenVpnListenerOptions | AttachedListenerOptions)[],
  log: Log,
): Map<string, Listener | AttachedListener> {
  const listeners = new Map<string, Listener | AttachedListener>();
  for (const one of options) {
    const name = nameOf(one);
    if (listeners.has(name))
      throw new SallyportError("config-invalid", `${one.profileId} listens twice at ${one.listener}`);
    listeners.set(name, "management" in one ? new AttachedListener(one, log) : new Listener(one, log));
  }
  return listeners;
}

function faultOf(one: Listener | AttachedListener): string | undefined {
  const { profileId, listener, ours, server } = one.status();
  if (!ours || server !== undefined) return undefined;
  return `the openvpn of ${profileId} for ${listener} did not come up: the log says why; is another program at ${listener}?`;
}

function nameOf({ profileId, listener }: { profileId: string; listener: string }): string {
  return JSON.stringify([profileId, listener]);
}
