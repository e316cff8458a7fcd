import { stat } from "node:fs/promises";
import { whyNoUserName } from "../../core/user-name.ts";
import type { Method, MethodResult } from "./method.ts";
import { refusalOf } from "./pam-answers.ts";
import type { PamOptions } from "./pam-options.ts";
import { createPamWorkers } from "./pam-workers.ts";
import { ServerUnreachable } from "./servers.ts";
import { createWaitingBound } from "./waiting.ts";

/** Where Linux-PAM looks for a service, in its order. */
const serviceDirectories = ["/etc/pam.d", "/usr/lib/pam.d"];

/**
 * This machine's PAM: the password and then the account must be accepted. The name that counts is the one the modules
 * leave. Modules are asked for a password once; a further question of theirs cannot be put.
 */
export function pamMethod(options: PamOptions): Method {
  const { service, timeoutMs } = options;
  const workers = createPamWorkers({ most: options.workers });
  const bound = createWaitingBound(options.maxWaiting);

  const judge = async (username: string, password: string, clientAddress: string | null): Promise<MethodResult> => {
    // For a service without a file PAM takes the one called "other", which may let people in by another rule.
    if (!(await hasService(service))) {
      return unreachable(`there is no ${serviceDirectories[0]}/${service.toLowerCase()} (auth.pam.0.service)`);
    }
    const answer = await workers.ask({ service, username, password, clientAddress }, timeoutMs);
    const refusal = refusalOf(answer);
    if (refusal !== undefined) return "wrong" in refusal ? wrong(refusal.wrong) : unreachable(refusal.outage);
    const userId = answer.username ?? username;
    const wrongName = whyNoUserName(userId);
    if (wrongName !== undefined) {
      return wrong(`PAM's name ${JSON.stringify(userId.slice(0, 100))} cannot name a user here: ${wrongName}`);
    }
    return { outcome: "accepted", userId, reason: "pam auth succeeded", info: {} };
  };

  return {
    name: "pam",
    deadlineMs: timeoutMs,
    async check({ username, password, clientAddress = null }) {
      const text = password.reveal();
      // Modules may be told to let accounts without a password in (nullok).
      if (text === "") return wrong("an empty password is never accepted");
      if (`${username}${text}`.includes("\0")) return wrong("a name or password with a NUL cannot be checked");
      try {
        const result = bound.run(() => judge(username, text, clientAddress));
        if (result !== undefined) return await result;
        return unreachable(`${bound.limit} sign-ins already wait for PAM (auth.pam.0.max_waiting)`);
      } catch (error) {
        if (error instanceof ServerUnreachable) return unreachable(error.message);
        throw error;
      }
    },
    close: () => workers.close(),
  };
}

async function hasService(service: string): Promise<boolean> {
  const found = serviceDirectories.map((directory) =>
    stat(`${directory}/${service.toLowerCase()}`).then(
      (file) => file.isFile(),
      () => false,
    ),
  );
  return (await Promise.all(found)).includes(true);
}

const wrong = (why: string): MethodResult => ({ outcome: "wrong", reason: `pam auth failed: ${why}` });
const unreachable = (why: string): MethodResult => ({ outcome: "unreachable", reason: `pam auth: ${why}` });
