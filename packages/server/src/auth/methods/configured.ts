import type { AuthMethod } from "../../core/credentials.ts";
import type { Log } from "../../core/log.ts";
import type { Method, MethodResult } from "./method.ts";
import { type Settings, type SettingsReading, settingFaultText } from "./settings.ts";

/**
 * A method as its settings say at each login: a change takes effect with the next one, those under way end as they
 * began. While the settings are wrong or missing every check is an outage that names the key.
 */
export function configuredMethod<O>(options: {
  name: AuthMethod;
  /** The settings as they are now; may hold those of others too. */
  settings: () => Promise<Settings>;
  read: (settings: Settings) => SettingsReading<O>;
  create: (options: O) => Method;
  log: Log;
}): Method {
  const { name, log } = options;
  type Current = { source: string; method: Method | undefined; reason: string; users: number; retired: boolean };
  let current: Current | undefined;
  let closed = false;

  const retire = async (old: Current) => {
    old.retired = true;
    if (old.users === 0) await old.method?.close?.();
  };

  const build = (settings: Settings, source: string): Current => {
    const { options: read, faults, warnings } = options.read(settings);
    for (const warning of warnings) log.warn({ method: name }, warning);
    if (read !== undefined) {
      return { source, method: options.create(read), reason: "", users: 0, retired: false };
    }
    const reason =
      faults.length === 0
        ? `${name} auth is not set up`
        : `the settings of ${name} auth are wrong: ${faults.map(settingFaultText).join("; ")}`;
    return { source, method: undefined, reason, users: 0, retired: false };
  };

  const use = async (work: (method: Method) => Promise<MethodResult>): Promise<MethodResult> => {
    const all = await options.settings();
    const mine = Object.entries(all).filter(([key]) => key.startsWith(`auth.${name}.`));
    const source = JSON.stringify(mine.sort(([a], [b]) => (a < b ? -1 : 1)));
    if (closed) return { outcome: "unreachable", reason: `${name} auth is shut down` };
    if (current?.source !== source) {
      const old = current;
      current = build(all, source);
      if (old !== undefined) retire(old).catch((error) => log.error({ method: name, err: error }, "closing failed"));
    }
    const chosen = current;
    if (chosen.method === undefined) return { outcome: "unreachable", reason: chosen.reason };
    chosen.users += 1;
    try {
      return await work(chosen.method);
    } finally {
      chosen.users -= 1;
      if (chosen.retired && chosen.users === 0) await chosen.method.close?.();
    }
  };

  return {
    name,
    get deadlineMs() {
      return current?.method?.deadlineMs;
    },
    check: (login) => use((method) => method.check(login)),
    resume: (state, response) =>
      use(async (method) => {
        if (method.resume) return method.resume(state, response);
        return { outcome: "unreachable", reason: `${name} auth never puts questions` };
      }),
    async close() {
      closed = true;
      if (current !== undefined) {
        current.retired = true;
        await current.method?.close?.();
      }
    },
  };
}
