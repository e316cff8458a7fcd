import type { AccessRequest, LiveTunnel, Traffic, Tunnel } from "../../../src/core/vpn-event.ts";
import type { DriverEvents } from "../../../src/drivers/driver.ts";
import { until } from "../../waiting.ts";

type Gone = { tunnel: Tunnel; counts: { bytesIn: number; bytesOut: number } | null };
type Attached = { profileId: string; listener: string; sameDaemon: boolean; tunnels: LiveTunnel[] };

/** The lifecycle's side of a driver: keeps what it is told, in order. */
export type Recorder = {
  events: DriverEvents;
  asked: AccessRequest[];
  established: Tunnel[];
  traffic: Traffic[];
  gone: Gone[];
  attached: Attached[];
  /** Kinds and keys in the order they came: `asked 1ab:0`. */
  order: string[];
  /** What happens with each request; nothing unless set. */
  answer: (request: AccessRequest) => unknown;
  /** What `attached` waits for. */
  reconcile: (attached: Attached) => Promise<void>;
  nthAsked(count: number, deadlineMs?: number): Promise<AccessRequest>;
  nthEstablished(count: number, deadlineMs?: number): Promise<Tunnel>;
  nthAttached(count: number, deadlineMs?: number): Promise<Attached>;
  goneOf(tunnel: Tunnel, deadlineMs?: number): Promise<Gone>;
};

export function createRecorder(): Recorder {
  const nth = async <Thing>(what: string, list: Thing[], count: number, deadlineMs = 60_000): Promise<Thing> =>
    until(`${what} number ${count}`, () => list[count - 1], { deadlineMs, everyMs: 10 }) as Promise<Thing>;
  const recorder: Recorder = {
    asked: [],
    established: [],
    traffic: [],
    gone: [],
    attached: [],
    order: [],
    answer: () => undefined,
    reconcile: async () => undefined,
    events: {
      asked: (request) => {
        recorder.order.push(`asked ${request.tunnel.key}`);
        recorder.asked.push(request);
        recorder.answer(request);
      },
      established: (tunnel) => {
        recorder.order.push(`established ${tunnel.key}`);
        recorder.established.push(tunnel);
      },
      traffic: (counts) => void recorder.traffic.push(...counts),
      gone: (tunnel, counts) => {
        recorder.order.push(`gone ${tunnel.key}`);
        recorder.gone.push({ tunnel, counts });
      },
      attached: async (listener, tunnels) => {
        const attached = { ...listener, tunnels };
        recorder.order.push(`attached ${tunnels.length}`);
        await recorder.reconcile(attached);
        recorder.attached.push(attached);
      },
    },
    nthAsked: (count, deadlineMs) => nth("request", recorder.asked, count, deadlineMs),
    nthEstablished: (count, deadlineMs) => nth("established tunnel", recorder.established, count, deadlineMs),
    nthAttached: (count, deadlineMs) => nth("attach", recorder.attached, count, deadlineMs),
    goneOf: (tunnel, deadlineMs = 60_000) =>
      until(`the end of ${tunnel.key}`, () => recorder.gone.find((gone) => gone.tunnel.key === tunnel.key), {
        deadlineMs,
        everyMs: 10,
      }),
  };
  return recorder;
}
