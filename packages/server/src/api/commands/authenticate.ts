import { z } from "zod";
import { parseAddress } from "../../core/address-range.ts";
import type { Decision } from "../../core/decision.ts";
import { errorTable } from "../../core/errors.ts";
import { maskSecrets } from "../../core/properties.ts";
import type { Secret } from "../../core/secret.ts";
import { type CommandTable, command } from "../command.ts";
import { id, name, secret } from "../input.ts";

type Of<Outcome extends Decision["outcome"]> = Extract<Decision, { outcome: Outcome }>;

/** A decision as it is shown: secrets among the properties masked, and a denial with what to do next. */
export type AuthenticateResult =
  | Pick<Of<"allow">, "outcome" | "attemptId" | "userId" | "authMethod" | "reason" | "properties" | "group" | "save">
  | Of<"challenge">
  | (Of<"deny"> & { next: string });

export type Authenticate = (request: {
  username: string;
  password: Secret;
  /** Canonical; undefined where the caller named none. */
  clientAddress: string | undefined;
  /** The answer to the question that the call before came back with. */
  challenge: { stateId: string; response: Secret } | undefined;
}) => Promise<Decision>;

/** One pass through the auth pipeline without a VPN. A denial is a result, not an error. */
export function authenticateCommands(deps: { authenticate: Authenticate }): CommandTable {
  return {
    authenticate: command({
      summary: "One authentication, without a VPN.",
      input: z.strictObject({
        username: name,
        password: secret,
        clientAddress: z
          .string()
          .refine((text) => parseAddress(text) !== undefined, "expected an IP address")
          .transform((text) => parseAddress(text))
          .optional(),
        challenge: z.strictObject({ stateId: id, response: secret }).optional(),
      }),
      run: async ({ username, password, clientAddress, challenge }): Promise<AuthenticateResult> => {
        const decision = await deps.authenticate({ username, password, clientAddress, challenge });
        if (decision.outcome === "deny") return { ...decision, next: errorTable[decision.code].next };
        if (decision.outcome === "challenge") return decision;
        const { outcome, attemptId, userId, authMethod, reason, properties, group, save } = decision;
        return {
          outcome,
          attemptId,
          userId,
          authMethod,
          reason,
          properties: maskSecrets(properties),
          group: group && { ...group, properties: maskSecrets(group.properties) },
          save: maskSecrets(save),
        };
      },
    }),
  };
}
