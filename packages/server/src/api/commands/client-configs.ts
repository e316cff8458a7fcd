import { z } from "zod";
import type { ClientConfig, ClientConfigStore } from "../../store/store.ts";
import { type CommandTable, command } from "../command.ts";
import { id, name } from "../input.ts";

/** What was issued, with the file: the only copy of its private key. */
export type IssuedConfig = ClientConfig & { file: string };

export function clientConfigCommands(deps: {
  list: ClientConfigStore["list"];
  /** Errors: `not-found` for a user or profile that does not exist. */
  issue(order: {
    userId: string | null;
    profileId: string;
    kind: ClientConfig["kind"];
  }): Promise<{ config: ClientConfig; file: string }>;
  /** Ends the device's connections too. Errors: `not-found`, `conflict` where it is revoked already. */
  revoke(id: string): Promise<ClientConfig>;
}): CommandTable {
  return {
    "client-config-issue": command({
      summary: "Makes a device's file. Its private key is in the answer and is kept nowhere.",
      input: z
        .strictObject({
          userId: name.optional(),
          profileId: name,
          kind: z.enum(["user-locked", "auto-login", "server-locked"]).default("user-locked"),
        })
        .refine(
          ({ userId, kind }) => (userId === undefined) === (kind === "server-locked"),
          "userId is for all kinds but server-locked, which belongs to nobody",
        ),
      run: async ({ userId, profileId, kind }): Promise<IssuedConfig> => {
        const { config, file } = await deps.issue({ userId: userId ?? null, profileId, kind });
        return { ...config, file };
      },
    }),
    "client-config-list": command({
      summary: "Client configs, revoked ones too.",
      input: z.strictObject({ userId: name.optional(), profileId: name.optional() }),
      run: async (filter) => await deps.list(filter),
    }),
    "client-config-revoke": command({
      summary: "Refuses a device from now on, and ends its connection.",
      input: z.strictObject({ id }),
      run: async (input) => await deps.revoke(input.id),
    }),
  };
}
