import { z } from "zod";
import type { ClientConfigs } from "../../client-configs/client-configs.ts";
import type { AccountLookup } from "../../core/account.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Ledger } from "../../store/store.ts";
import { type PropertyRecordsOptions, propertyRecords } from "../access-server/property-records.ts";
import { isSacliVerb, type SacliVerb, sacliVerbs } from "../access-server/verb-list.ts";
import { type ListenerNames, vpnStatus } from "../access-server/vpn-status.ts";
import { type CommandTable, command } from "../command.ts";
import { key, name, secret, text } from "../input.ts";
import { runCommand } from "../run-command.ts";
import type { IssueConfig } from "./client-configs.ts";
import type { Setting } from "./settings.ts";

const mostConnections = 100_000;

/** What Access Server answers where something was done. */
const done = [true, {}] as const;

const input = z.strictObject({
  verb: z.string().max(100),
  user: name.optional(),
  key: key.optional(),
  value: text.optional(),
  password: secret.optional(),
  /** For UserPropGet: only records of this type. */
  type: name.optional(),
});

type Given = Required<Omit<z.output<typeof input>, "verb" | "type">> & { type: string | undefined };

/** `sacli`'s verbs, with answers in Access Server's own spelling. */
export function accessServerCommands(
  deps: PropertyRecordsOptions & {
    /** `config-set`, `config-get`, `config-list` and `config-delete`. */
    settings: CommandTable;
    ledger: Pick<Ledger, "list">;
    listeners(): ListenerNames;
    configs: Pick<ClientConfigs, "list" | "revoke">;
    issue: IssueConfig;
    lookup: Pick<AccountLookup, "resolve">;
    /** Ends a device's connections. */
    endDevice(connectionId: string): Promise<unknown>;
    /** Ends a user's connections as `admin`, and tells how many. */
    disconnect(userId: string): Promise<number>;
    /** The product with its version. */
    version: string;
  },
): CommandTable {
  const records = propertyRecords(deps);
  const open = () => deps.ledger.list({ open: true, limit: mostConnections });
  const setting = async (verb: string, given: object) => await runCommand(deps.settings, `config-${verb}`, given);
  /** Access Server has one VPN: the first OpenVPN profile stands for it. */
  const newFile = async (userId: string, kind: "user-locked" | "auto-login") => {
    const [first] = deps.listeners().openvpn;
    if (first === undefined) throw new SallyportError("conflict", "there is no OpenVPN profile to issue a file for");
    return (await deps.issue({ userId, profileId: first.profileId, kind })).text;
  };
  const status = () => {
    const { openvpn, wireguard } = deps.listeners();
    const daemons = [...openvpn.map((_, n) => `openvpn_${n}`), ...wireguard.map((_, n) => `wireguard_${n}`)];
    const services = ["api", "auth", "log", ...daemons, "user"].sort();
    return { errors: {}, service_status: Object.fromEntries(services.map((service) => [service, "on"])) };
  };

  const verbs: Record<SacliVerb, (given: Given) => Promise<unknown>> = {
    async ConfigPut(given) {
      await setting("set", { key: given.key, value: given.value });
      return done;
    },
    async ConfigDel(given) {
      await setting("delete", { key: given.key }).catch(unlessMissing);
      return done;
    },
    async ConfigQuery(given) {
      const found = (given.key === undefined
        ? await setting("list", {})
        : [await setting("get", { key: given.key, showSecrets: true })]) as unknown as Setting[];
      return Object.fromEntries(found.map((one) => [one.key, one.value]));
    },
    async UserPropPut(given) {
      await records.put(given.user, given.key, given.value);
      return done;
    },
    UserPropGet: ({ user, type }) =>
      records.get({ ...(user !== undefined && { name: user }), ...(type !== undefined && { type }) }),
    async UserPropDel(given) {
      await records.delete(given.user, given.key);
      return done;
    },
    async UserPropDelAll(given) {
      await records.deleteAll(given.user);
      return done;
    },
    async SetLocalPassword(given) {
      await records.setPassword(given.user, given.password);
      return done;
    },
    async RemoveLocalPassword(given) {
      await records.removePassword(given.user);
      return done;
    },
    async VPNStatus() {
      const [connections, configs] = await Promise.all([open(), deps.configs.list()]);
      const seen = new Map(configs.map((config) => [config.id, config]));
      return vpnStatus({ listeners: deps.listeners(), open: connections, seen, now: new Date() });
    },
    VPNSummary: async () => ({ n_clients: (await open()).length }),
    async DisconnectUser(given) {
      await deps.disconnect(given.user);
      return done;
    },
    GetUserlogin: ({ user }) => newFile(user, "user-locked"),
    async GetAutologin({ user }) {
      const { properties } = await deps.lookup.resolve(user);
      if (properties.prop_autologin !== "true") {
        throw new SallyportError("autologin-not-allowed", `prop_autologin is not true for ${user}`);
      }
      return await newFile(user, "auto-login");
    },
    async RevokeUser({ user }) {
      const valid = (await deps.configs.list({ userId: user })).filter(({ revokedAt }) => revokedAt === null);
      for (const { id } of valid) await deps.endDevice((await deps.configs.revoke(id)).connectionId);
      return done;
    },
    start: async () => status(),
    status: async () => status(),
    Version: async () => deps.version,
  };

  return {
    sacli: command({
      summary: "One verb of Access Server's sacli, answered as sacli answers.",
      input,
      run: async ({ verb, ...given }) => {
        if (!isSacliVerb(verb)) throw new SallyportError("not-found", `sacli has no verb ${JSON.stringify(verb)} here`);
        for (const need of sacliVerbs[verb].needs) {
          if (given[need] === undefined) throw new SallyportError("invalid-input", `${verb} needs a ${need}`);
        }
        // Each verb reads only what it needs, or what it takes for absent.
        return await verbs[verb](given as Given);
      },
    }),
  };
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof SallyportError && error.code === "not-found")) throw error;
}
