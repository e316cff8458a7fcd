import { z } from "zod";
import type { ClientConfigs } from "../../client-configs/client-configs.ts";
import type { ClientConfig } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { id, name } from "../input.ts";

/** What was issued, with the file: the only copy of its private key. */
export type IssuedConfig = ClientConfig & { file: string };

export type RevokedConfig = ClientConfig & { endedConnections: number };

/** Makes a device's file for a profile by its id. Errors: `not-found` for a profile that does not exist. */
export type IssueConfig = (order: {
  /** Null for server-locked ones. */
  userId: string | null;
  profileId: string;
  /** The profile's usual one where it is left out. */
  kind?: ClientConfig["kind"] | undefined;
  /** WireGuard: of a key pair that the device made itself. */
  publicKey?: string | undefined;
}) => Promise<{ config: ClientConfig; text: string }>;

export function clientConfigCommands(deps: {
  configs: Pick<ClientConfigs, "list" | "revoke">;
  issue: IssueConfig;
  /** Ends a device's connections, and tells how many. */
  endConnections(connectionId: string): Promise<number>;
  /** Lets a WireGuard device in again that an administrator had put out. */
  readmit(id: string): Promise<ClientConfig>;
}): CommandTable {
  return {
    "client-config-issue": command({
      summary: "Makes a device's file. Its private key is in the answer and is kept nowhere.",
      input: z
        .strictObject({
          userId: name.optional(),
          profileId: name,
          kind: z.enum(["user-locked", "auto-login", "server-locked"]).optional(),
          publicKey: z.string().max(100).optional(),
        })
        .refine(
          ({ userId, kind }) => (userId === undefined) === (kind === "server-locked"),
          "userId is for all kinds but server-locked, which belongs to nobody",
        ),
      run: async ({ userId, profileId, kind, publicKey }): Promise<IssuedConfig> => {
        const { config, text } = await deps.issue({ userId: userId ?? null, profileId, kind, publicKey });
        return { ...config, file: text };
      },
    }),
    "client-config-list": command({
      summary: "Client configs, revoked ones too.",
      input: z.strictObject({ userId: name.optional(), profileId: name.optional() }),
      run: async (filter) => await deps.configs.list(filter),
    }),
    "client-config-admit": command({
      summary: "Lets a WireGuard device in again whose connection an administrator had ended.",
      input: z.strictObject({ id }),
      run: async (input) => await deps.readmit(input.id),
    }),
    "client-config-revoke": command({
      summary: "Refuses a device from now on, and ends its connection.",
      input: z.strictObject({ id }),
      run: async (input): Promise<RevokedConfig> => {
        const revoked = await deps.configs.revoke(input.id);
        return { ...revoked, endedConnections: await deps.endConnections(revoked.connectionId) };
      },
    }),
  };
}
