import { AgentFailure } from "../failure.ts";
import type { NameServers } from "../machine/name-servers.ts";
import type { ManagementAddress } from "../openvpn/management.ts";
import type { OpenVpnProcess } from "../openvpn/session.ts";
import type { WireGuardDevice, WireGuardTraffic } from "../wireguard/device.ts";
import type { AdministratorScripts } from "./administrator-scripts.ts";
import { connectToService } from "./endpoint.ts";
import { readLines } from "./lines.ts";
import { mostRequestBytes, type ServiceAnswer, type ServiceNotice, type ServiceRequest } from "./requests.ts";

/** The privileged service of this machine, as the user's part sees it. */
export type ServiceClient = {
  scripts: AdministratorScripts;
  startOpenVpn(start: { profileText: string; peerInfo: Readonly<Record<string, string>> }): Promise<OpenVpnProcess>;
  /** Of the openvpn that was started; they go with it. */
  setNameServers(pushed: NameServers): Promise<void>;
  startWireGuard(profileText: string): Promise<WireGuardDevice>;
  close(): void;
};

type Waiting = { resolve(answer: ServiceAnswer): void; reject(error: Error): void };

/** Undefined where no service listens there. */
export async function connectService(path: string): Promise<ServiceClient | undefined> {
  const socket = await connectToService(path);
  if (socket === undefined) return undefined;
  const waiting: Waiting[] = [];
  const exited = Promise.withResolvers<string>();
  const gone = () => new AgentFailure("failed", "The privileged service of this machine is gone.");
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    exited.resolve("the privileged service is gone");
    for (const one of waiting.splice(0)) one.reject(gone());
  });
  readLines(socket, mostRequestBytes, (line) => {
    const message = JSON.parse(line) as ServiceAnswer | ServiceNotice;
    if ("exited" in message) exited.resolve(message.exited);
    else waiting.shift()?.resolve(message);
  });
  const call = async <Answer extends ServiceAnswer>(request: ServiceRequest): Promise<Answer> => {
    const answer = await new Promise<ServiceAnswer>((resolve, reject) => {
      if (socket.destroyed) return reject(gone());
      waiting.push({ resolve, reject });
      socket.write(`${JSON.stringify(request)}\n`);
    });
    if ("error" in answer) throw new AgentFailure("not-permitted", `The privileged service says no: ${answer.error}.`);
    return answer as Answer;
  };
  return {
    scripts: {
      nonce: async () => (await call<{ nonce: string }>({ do: "nonce" })).nonce,
      take: async ({ text, ticket, nonce }) => {
        const { refused } = await call<{ refused: string | null }>({ do: "take", text, ticket, nonce });
        return refused === null ? undefined : { refused };
      },
      run: async (event, facts) => (await call<{ reports: [] }>({ do: "run", event, facts })).reports,
      // The service sees for itself that we are gone.
      close: async () => void socket.end(),
    },
    startOpenVpn: async ({ profileText, peerInfo }) => {
      const request = { do: "start-openvpn", profileText, peerInfo: { ...peerInfo } } as const;
      const { management } = await call<{ management: ManagementAddress }>(request);
      let running = true;
      void exited.promise.then(() => {
        running = false;
      });
      const kill = () => void call({ do: "end-tunnel" }).catch(() => undefined);
      return { management, running: () => running, exited: exited.promise, kill };
    },
    setNameServers: async ({ servers, search }) => {
      await call<{ set: boolean }>({ do: "name-servers", servers: [...servers], search: [...search] });
    },
    startWireGuard: async (profileText) => {
      const { device } = await call<{ device: string }>({ do: "start-wireguard", profileText });
      return {
        name: device,
        traffic: () => call<WireGuardTraffic>({ do: "traffic" }),
        takeDown: async () => void (await call({ do: "end-tunnel" })),
      };
    },
    close: () => void socket.end(),
  };
}
