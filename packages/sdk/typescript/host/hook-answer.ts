import type { JsonValue } from "../json.ts";
import { describe, isPlain, Unsendable } from "./values.ts";

/** A hook's answer as the daemon judges it. Throws `Unsendable` where there is none. */
export function hookAnswerFrom(answer: unknown): JsonValue {
  if (answer === undefined || answer === null) return { answer: "yes" };
  const expected = "it must return nothing, allow() or deny(…)";
  if (!isPlain(answer)) throw new Unsendable(`the hook returned ${describe(answer)}; ${expected}`);
  const { decision, reason, clientReason = null } = answer;
  if (decision === "allow") {
    const strange = Object.keys(answer).find((key) => key !== "decision" && key !== "reason");
    if (strange === undefined) return { answer: "yes" };
    throw new Unsendable(`the hook returned allow with ${JSON.stringify(strange)}, which a hook cannot set`);
  }
  if (decision !== "deny") throw new Unsendable(`the hook returned an object without a decision; ${expected}`);
  if (typeof reason !== "string") throw new Unsendable(`deny's reason is ${describe(reason)}; it must be a text`);
  if (clientReason !== null && typeof clientReason !== "string")
    throw new Unsendable(`deny's clientReason is ${describe(clientReason)}; it must be a text`);
  return { answer: "no", reason, clientReason };
}
