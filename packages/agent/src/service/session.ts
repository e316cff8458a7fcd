import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { sameAccountName } from "../machine/account-name.ts";
import { asRoot } from "../machine/as-root.ts";
import type { NameServerSetting } from "../machine/name-servers.ts";
import { nameServersOf } from "../machine/set-name-servers.ts";
import { ownPlatform } from "../machine/system.ts";
import { startOpenVpn } from "../openvpn/process.ts";
import type { OpenVpnProcess } from "../openvpn/session.ts";
import { readOpenVpnProfile } from "../profile/openvpn-file.ts";
import { readWireGuardProfile } from "../profile/wireguard-file.ts";
import { bringUpWireGuard } from "../wireguard/bring-up.ts";
import type { WireGuardDevice } from "../wireguard/device.ts";
import { type AdministratorTerms, openAdministratorScripts } from "./administrator-scripts.ts";
import { readPolicy } from "./policy.ts";
import type { ServiceAnswer, ServiceNotice, ServiceRequest } from "./requests.ts";

/** What the service does for one agent that is connected to it, and ends with it. */
export type ServiceSession = {
  answer(request: ServiceRequest): Promise<ServiceAnswer>;
  close(): Promise<void>;
};

export type ServiceTerms = AdministratorTerms & {
  /** Whose agent it is, as the kernel and the system's accounts say. */
  user: string;
  /** That everybody can enter, and only root write to. */
  socketDirectory: string;
  openVpnProgram: string | undefined;
  notify: (notice: ServiceNotice) => void;
};

export function openServiceSession(terms: ServiceTerms): ServiceSession {
  const { user, policyPath, directory, log, notify } = terms;
  const logOfTunnel = (text: string) => log(`tunnel of ${user}: ${text}`);
  const scripts = openAdministratorScripts(terms);
  let openvpn: (OpenVpnProcess & AsyncDisposable) | undefined;
  /** Of openvpn; WireGuard's are its own. */
  let nameServers: NameServerSetting | undefined;
  let wireguard: WireGuardDevice | undefined;
  let closed = false;

  const mayHaveTunnels = async () => {
    const { tunnels } = await readPolicy(policyPath);
    return tunnels === "everybody" || tunnels.some((name) => sameAccountName(name, user));
  };
  const programsOf = async () => (await readPolicy(policyPath)).programsOf ?? [];
  const endTunnel = async () => {
    await nameServers?.close();
    nameServers = undefined;
    await openvpn?.[Symbol.asyncDispose]();
    openvpn = undefined;
    await wireguard?.takeDown();
    wireguard = undefined;
  };
  const start = async (
    request: Extract<ServiceRequest, { do: "start-openvpn" | "start-wireguard" }>,
  ): Promise<ServiceAnswer> => {
    if (!(await mayHaveTunnels()))
      return {
        error: `the machine's owner does not let ${user} bring tunnels up; they would: ${asRoot("sallyport-agent trust --administrator --tunnels NAME,…")}`,
      };
    await endTunnel();
    if (request.do === "start-wireguard") {
      // Read here too: what the user's part read is not believed.
      const profile = readWireGuardProfile(request.profileText);
      const device = await bringUpWireGuard({
        profile,
        base: join(directory, "wireguard"),
        programsOf,
        log: logOfTunnel,
      });
      wireguard = device;
      log(`${user} brings up WireGuard to ${profile.endpoint}`);
      if (closed) await endTunnel();
      return { device: device.name };
    }
    const profile = readOpenVpnProfile(request.profileText);
    log(`${user} brings up OpenVPN to ${profile.remotes[0]?.host}`);
    const started = await startOpenVpn({
      profileText: profile.text,
      peerInfo: request.peerInfo,
      base: join(directory, "tunnels"),
      program: terms.openVpnProgram,
      programsOf,
      management: { user, directory: terms.socketDirectory },
      onOutput: logOfTunnel,
    });
    openvpn = started;
    const names = nameServersOf({
      platform: ownPlatform(),
      name: `sallyport.${randomBytes(4).toString("hex")}`,
      log: logOfTunnel,
    });
    nameServers = names;
    void started.exited.then(() => names.close());
    // The agent may have gone meanwhile.
    if (closed) await endTunnel();
    void started.exited.then((exited) => notify({ exited }));
    return { management: started.management };
  };

  return {
    answer: async (request) => {
      switch (request.do) {
        case "nonce":
          return { nonce: await scripts.nonce() };
        case "take": {
          const { text, ticket, nonce } = request;
          const refused = (await scripts.take({ text, ticket, nonce }))?.refused ?? null;
          log(refused === null ? `${user} hands in a bundle` : `${user} hands in a bundle that is refused: ${refused}`);
          return { refused };
        }
        case "run":
          return { reports: await scripts.run(request.event, request.facts) };
        case "name-servers": {
          // Whoever may lead this machine's traffic into a tunnel may say who is asked for names in it.
          const set = openvpn?.running() === true;
          if (set) await nameServers?.set({ servers: request.servers, search: request.search });
          return { set };
        }
        case "traffic":
          return (await wireguard?.traffic()) ?? { lastHandshake: null, receivedBytes: 0 };
        case "end-tunnel":
          await endTunnel();
          return { ended: true };
        default:
          return await start(request);
      }
    },
    close: async () => {
      closed = true;
      await endTunnel();
      await scripts.close();
    },
  };
}
