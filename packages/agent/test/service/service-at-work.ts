import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newSigningKey } from "@sallyport/protocol";
import { connectService, type ServiceClient } from "../../src/service/client.ts";
import type { Policy } from "../../src/service/policy.ts";
import { serve } from "../../src/service/serve.ts";

/** The privileged service in a directory of a test's own, which is gone when it is disposed of. */
export type ServiceAtWork = AsyncDisposable & {
  directory: string;
  socketPath: string;
  /** What it logged. */
  said: string[];
  begin(openVpnProgram?: string): Promise<void>;
  end(): Promise<void>;
  /** Writes the policy of an owner who trusts `server`, with these changes. */
  allow(changes: Partial<Policy>): Promise<void>;
  client(): Promise<ServiceClient>;
};

export const key = newSigningKey();
export const server = { serverId: "server-1", name: "vpn.example.org", publicKeys: [key.publicKey], scripts: [] };

export async function serviceAtWork(): Promise<ServiceAtWork> {
  const directory = await mkdtemp(join(tmpdir(), "agent-service-"));
  await chmod(directory, 0o755);
  const socketPath = join(directory, "run", "service.sock");
  const policyPath = join(directory, "policy.json");
  const said: string[] = [];
  let running: { close(): Promise<void> } | undefined;
  const service: ServiceAtWork = {
    directory,
    socketPath,
    said,
    begin: async (openVpnProgram) => {
      running = await serve({
        socketPath,
        policyPath,
        directory: join(directory, "state"),
        openVpnProgram,
        connectDeadlineMs: 10_000,
        disconnectDeadlineMs: 10_000,
        log: (text) => said.push(text),
      });
    },
    end: async () => {
      await running?.close();
      running = undefined;
    },
    allow: async (changes) => {
      const policy = { tunnels: [], administratorScripts: "trust", servers: [server], ...changes };
      await rm(policyPath, { force: true });
      await writeFile(policyPath, JSON.stringify(policy), { mode: 0o644 });
    },
    client: async () => {
      const connected = await connectService(socketPath);
      if (connected === undefined) throw new Error("nobody listens");
      return connected;
    },
    [Symbol.asyncDispose]: async () => {
      await service.end();
      await rm(directory, { recursive: true });
    },
  };
  await service.begin();
  return service;
}
