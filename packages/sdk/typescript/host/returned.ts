import type { JsonObject, JsonValue } from "../json.ts";
import { type Arguments, reservedKeys } from "./arguments.ts";
import { describe, type Flattening, isPlain, Unsendable } from "./values.ts";

/** An answer as the daemon judges it, the same for every language: `authret`, or `[authret, proplist_save]`. */
export type Returned = { value: JsonValue; challenge: { text: string; echo: boolean } | null };

const keys: Readonly<Record<string, readonly string[]>> = {
  allow: ["decision", "reason", "user", "group", "address", "properties", "save", "data"],
  deny: ["decision", "reason", "clientReason"],
  challenge: ["decision", "text", "echo"],
};

/** Throws `Unsendable` where there is no decision to be judged. */
export function returnedFrom(answer: unknown, { authret }: Arguments, flattening: Flattening): Returned {
  const given = readKeys(answer);
  // What the scripts before passed along goes on to those that follow.
  const standing = { ...authret, proplist: { ...authret.proplist } } as JsonObject;
  if (given.decision === "challenge") {
    const { text, echo = false } = given;
    if (typeof text !== "string" || text === "") throw new Unsendable(`a challenge's text is ${describe(text)}`);
    return { value: { ...standing, status: 1 }, challenge: { text, echo: echo === true } };
  }
  for (const [key, name] of texts) {
    if (given[key] !== undefined) standing[name] = flattening.flatten(given[key], key);
  }
  if (given.decision === "deny") return { value: { ...standing, status: 1 }, challenge: null };
  Object.assign(standing, readData(given.data, flattening), {
    status: 0,
    proplist: propertiesOf(given, flattening, authret),
  });
  const value = "save" in given ? [standing, flattening.flatten(given.save, "save")] : standing;
  return { value, challenge: null };
}

const texts = [
  ["reason", "reason"],
  ["clientReason", "client_reason"],
  ["user", "user"],
] as const;

function readKeys(answer: unknown): Record<string, unknown> {
  const expected = "it must return allow(…), deny(…) or ctx.challenge(…)";
  if (!isPlain(answer)) throw new Unsendable(`the script returned ${describe(answer)}; ${expected}`);
  const { decision } = answer;
  const known = typeof decision === "string" && Object.hasOwn(keys, decision) ? keys[decision] : undefined;
  if (known === undefined) {
    const found = typeof decision === "string" ? JSON.stringify(decision.slice(0, 60)) : describe(decision);
    throw new Unsendable(`the script returned an object whose decision is ${found}; ${expected}`);
  }
  const strange = Object.keys(answer).find((key) => !known.includes(key));
  if (strange === undefined) return { ...answer };
  throw new Unsendable(
    `the script returned ${decision} with ${JSON.stringify(strange.slice(0, 60))}, which means nothing; it may have ${known.slice(1).join(", ")}`,
  );
}

/** What the script sets goes over what is in force; `group` and `address` are properties with names of their own. */
function propertiesOf(
  given: Record<string, unknown>,
  flattening: Flattening,
  authret: Arguments["authret"],
): JsonValue {
  const set = "properties" in given ? flattening.flatten(given.properties, "properties") : {};
  // Whatever it is, it is judged as it is.
  if (typeof set !== "object" || set === null || Array.isArray(set)) return set;
  const placing = Object.entries({ conn_group: "group", conn_ip: "address" }).filter(([, key]) => key in given);
  const placed = placing.map(([name, key]) => [name, flattening.flatten(given[key], key)] as const);
  return { ...authret.proplist, ...set, ...Object.fromEntries(placed) };
}

function readData(data: unknown, flattening: Flattening): JsonObject {
  if (data === undefined) return {};
  if (!isPlain(data)) throw new Unsendable(`data is ${describe(data)}; it must be an object`);
  const taken = Object.keys(data).find((key) => reservedKeys.has(key));
  if (taken !== undefined) throw new Unsendable(`data cannot hold ${JSON.stringify(taken)}: that name is taken`);
  return flattening.flatten(data, "data") as JsonObject;
}
