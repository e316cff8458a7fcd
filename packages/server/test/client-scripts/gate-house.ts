import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agentPaths, verifyBundle } from "@sallyport/protocol";
import { createDirectory } from "../../src/accounts/directory.ts";
import { accountLookup } from "../../src/accounts/lookup.ts";
import { createPasswords } from "../../src/accounts/passwords.ts";
import { serveAdminSocket } from "../../src/api/admin-socket.ts";
import { joinTables } from "../../src/api/command.ts";
import { groupCommands } from "../../src/api/commands/groups.ts";
import { propertyCommands } from "../../src/api/commands/properties.ts";
import { settingCommands } from "../../src/api/commands/settings.ts";
import { serveHttp } from "../../src/api/http.ts";
import { openAuthority } from "../../src/client-configs/authority.ts";
import { composeClientScripts } from "../../src/compose/client-scripts.ts";
import type { ProfileConfig } from "../../src/config/config.ts";
import { parseRange } from "../../src/core/address-range.ts";
import type { Connection } from "../../src/core/connection.ts";
import type { Log } from "../../src/core/log.ts";
import { inProcess, type Outcome } from "../cli/sallyport.ts";
import { openStoreHere } from "../store/open-here.ts";
import { aReservation } from "../store/suite/rows.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

export type Answer = { status: number; text: string; code: string | undefined };

/**
 * A real store, the real HTTPS server and admin socket with client scripts; connections are rows of the ledger. The
 * address that requests come from, 127.0.0.1, may be a connection's; 127.0.0.1 is also the server's own in the profile
 * `mobile`, which has WireGuard.
 */
export async function openGateHouse() {
  const directory = await mkdtemp(join(tmpdir(), "client-scripts-"));
  const config = join(directory, "sallyport.yaml");
  await writeFile(config, `dataDirectory: ${directory}\nunknown key: [\n`);
  const store = await openStoreHere(join(directory, "sallyport.db"));
  const authority = await openAuthority({ directory: join(directory, "pki") });
  const logged: object[] = [];
  const log: Log = { ...silent, info: (facts) => void logged.push(facts), warn: (facts) => void logged.push(facts) };
  const profiles = [profile("office", "openvpn"), profile("mobile", "wireguard")];
  const http = { listen: { address: "127.0.0.1", port: 0 }, publicUrl: "https://127.0.0.1:8443/", tls: null };
  const open = () =>
    composeClientScripts({
      config: { dataDirectory: directory, http } as Parameters<typeof composeClientScripts>[0]["config"],
      profiles: () => profiles,
      store,
      authority,
      log,
    });
  const clientScripts = await open();
  const accounts = createDirectory({ store: clientScripts.accounts, passwords: createPasswords() });
  const lookup = accountLookup(store.accounts);
  const commands = joinTables(
    clientScripts.commands,
    groupCommands({ accounts: clientScripts.accounts, directory: accounts, lookup }),
    propertyCommands({ accounts: clientScripts.accounts, directory: accounts, lookup }),
    settingCommands({ settings: store.settings, elsewhere: {} }),
  );
  const admin = await serveAdminSocket({ path: join(directory, "admin.sock"), commands, log: silent });
  const web = await serveHttp({
    listen: { address: "127.0.0.1", port: 0 },
    certificate: () => authority.newWebServer({ names: ["127.0.0.1"] }),
    unready: async () => undefined,
    routes: [clientScripts.routes],
    log: silent,
  });

  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const post = (path: string, body: unknown): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json" };
      const asked = request(
        { host: "127.0.0.1", port: web.port, path, method: "POST", ca: authority.caPem, agent, headers },
        (response) => {
          let text = "";
          response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
          response.on("end", () => {
            const { statusCode: status = 0 } = response;
            resolve({ status, text, code: status === 200 ? undefined : JSON.parse(text).error?.code });
          });
        },
      );
      asked.on("error", reject).end(typeof body === "string" ? body : JSON.stringify(body));
    });

  const run = (args: readonly string[]): Promise<Outcome> => inProcess(args, { config });

  return {
    directory,
    store,
    clientScripts,
    logged,
    post,
    /** The part anew, as after a restart of the daemon. */
    reopen: open,
    run,
    async succeed(args: readonly string[]): Promise<string> {
      const outcome = await run(args);
      if (outcome.status !== 0) throw new Error(`${args.join(" ")}: ${outcome.stderr}`);
      return outcome.stdout;
    },
    async file(name: string, text: string): Promise<string> {
      const path = join(directory, name);
      await writeFile(path, text);
      return path;
    },
    /** A connection that is up. */
    async connected(given: Partial<Connection> & { ipv4?: string } = {}): Promise<Connection> {
      const { ipv4 = "10.42.0.9", ...facts } = given;
      const reserved = await store.ledger.reserve(
        aReservation({ group: null, properties: {}, ...facts }, { ipv4: { fixed: ipv4 } }),
      );
      if (!("connection" in reserved)) throw new Error(reserved.refused);
      const { id } = reserved.connection;
      await store.ledger.admit(id, { at: new Date().toISOString(), save: {}, observers: [] });
      return { ...reserved.connection, state: "admitted" };
    },
    end: (id: string) =>
      store.ledger.end(id, {
        at: new Date().toISOString(),
        reason: "client",
        detail: null,
        counts: null,
        release: true,
        subscribers: [],
      }),
    bundle: (ticket: string | null, change: object = {}) =>
      post(agentPaths.bundle, { ticket, nonce: usualNonce, platform: "linux", agentVersion: "0.1.0", ...change }),
    async close() {
      agent.destroy();
      await web.close();
      await admin.close();
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export type GateHouse = Awaited<ReturnType<typeof openGateHouse>>;

export const usualNonce = "n".repeat(22);

/** The bundle in an answer, checked as an agent checks it. */
export async function opened(house: GateHouse, { text }: Answer, ticket: string | null) {
  const { serverId, keys } = JSON.parse(await house.succeed(["client-script", "key", "show", "--json"]));
  const publicKeys = keys.map(({ publicKey }: { publicKey: string }) => publicKey);
  const verified = verifyBundle(text, { serverId, publicKeys, ticket: ticket ?? "", nonce: usualNonce });
  if ("fault" in verified) throw new Error(verified.message);
  return verified.bundle;
}

/** As much of a profile as client scripts look at. */
function profile(id: string, protocol: "openvpn" | "wireguard"): ProfileConfig {
  const ipv4 = parseRange(protocol === "wireguard" ? "127.0.0.0/24" : "10.42.0.0/20") ?? null;
  return { id, tunnel: { protocol }, ranges: { ipv4, ipv6: null } } as unknown as ProfileConfig;
}
