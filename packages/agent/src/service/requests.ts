import type { ScriptEvent, ScriptReport } from "@sallyport/protocol";
import type { ManagementAddress } from "../openvpn/management.ts";
import type { WireGuardTraffic } from "../wireguard/device.ts";
import type { ToldFacts } from "./administrator-scripts.ts";

/*
 * What a user's agent and the privileged service say to each other: a line of JSON each way, one request at a time. What
 * belongs to the connection (tunnel, scripts) ends with it: the service takes it down when the agent is gone.
 */

export type ServiceRequest =
  | { do: "nonce" }
  | { do: "take"; text: string; ticket: string; nonce: string }
  | { do: "run"; event: ScriptEvent; facts: ToldFacts }
  | { do: "start-openvpn"; profileText: string; peerInfo: Record<string, string> }
  | { do: "start-wireguard"; profileText: string }
  | { do: "name-servers"; servers: string[]; search: string[] }
  | { do: "traffic" }
  | { do: "end-tunnel" };

export type ServiceAnswer =
  | { error: string }
  | { nonce: string }
  | { refused: string | null }
  | { reports: ScriptReport[] }
  | { management: ManagementAddress }
  | { device: string }
  | WireGuardTraffic
  | { set: boolean }
  | { ended: true };

/** Sent by itself, once: an openvpn has ended. */
export type ServiceNotice = { exited: string };

/** A bundle at its longest, as JSON. */
export const mostRequestBytes = 40 * 1024 * 1024;

/** The request in a line; undefined where it is none. */
export function readRequest(line: string): ServiceRequest | undefined {
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const isText = (...names: string[]) => names.every((name) => typeof value[name] === "string");
  const isTextList = (one: unknown) =>
    Array.isArray(one) && one.length <= 32 && one.every((text) => typeof text === "string" && text.length <= 253);
  const isRecord = (one: unknown) => typeof one === "object" && one !== null && !Array.isArray(one);
  const whole: Record<string, () => boolean> = {
    nonce: () => true,
    take: () => isText("text", "ticket", "nonce"),
    run: () => (value.event === "connect" || value.event === "disconnect") && isRecord(value.facts),
    "start-openvpn": () =>
      isText("profileText") &&
      isRecord(value.peerInfo) &&
      Object.entries(value.peerInfo as object).every(
        ([name, text]) => /^(UV_\w{1,80}|IV_GUI_VER|IV_SSO)$/.test(name) && /^[\x20-\x7e]{0,200}$/.test(text),
      ),
    "start-wireguard": () => isText("profileText"),
    "name-servers": () => isTextList(value.servers) && isTextList(value.search),
    traffic: () => true,
    "end-tunnel": () => true,
  };
  const known = typeof value.do === "string" && Object.hasOwn(whole, value.do) ? whole[value.do] : undefined;
  return known?.() ? (value as ServiceRequest) : undefined;
}
