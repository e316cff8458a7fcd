import type { ScriptCall, ScriptReturn } from "../../src/runner/runner.ts";

export const isRoot = process.getuid?.() === 0;
/** Whom scripts run as when the tests are root, as they do in a daemon. */
export const account = isRoot ? { uid: 65534, gid: 65534 } : undefined;

type Given = { [Part in "authcred" | "attributes" | "authret" | "info"]?: Record<string, unknown> };

/** A call as the server makes it, with what a test wants to be different. `act` says what a fixture is to do. */
export function callOf(given: Given & { act?: string } & Partial<Omit<ScriptCall, "arguments">> = {}): ScriptCall {
  const { authcred, attributes, authret, info, act, ...call } = given;
  return {
    arguments: {
      authcred: { username: "alice", client_ip_addr: "192.0.2.7", ...authcred },
      attributes: { vpn_auth: true, reauth: false, client_info: { ...(act && { UV_ACT: act }) }, ...attributes },
      authret: { status: 0, user: "alice", reason: "local auth succeeded", proplist: {}, ...authret },
      info: { auth_method: "local", ...info },
    },
    deadlineMs: 20_000,
    ...call,
  };
}

/** Fails where the script did not return. */
export function returned(result: ScriptReturn): Extract<ScriptReturn, { outcome: "returned" }> {
  if (result.outcome !== "returned") throw new Error(`the script did not return: ${JSON.stringify(result)}`);
  return result;
}
