/** What a script returned, as plain JSON. Judging it is the daemon's part; here it is only told what cannot be sent. */
import type { JsonValue } from "../json.ts";

const deepest = 32;

/** A result the daemon cannot be told; the message says which part and why. */
export class Unsendable extends Error {}

/** Copies values into plain ones, as long as they are not too large together. `undefined` becomes null. */
export class Flattening {
  readonly #limit: number;
  #left: number;

  constructor(limit: number) {
    this.#limit = limit;
    this.#left = limit;
  }

  flatten(value: unknown, place: string, depth = 0): JsonValue {
    this.#left -= typeof value === "string" ? value.length + 1 : 1;
    if (this.#left < 0) throw new Unsendable(`the result is larger than ${this.#limit} bytes`);
    if (value === undefined || value === null) return null;
    if (typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    if (typeof value !== "object") throw new Unsendable(`${shown(place)} is ${describe(value)}, which cannot be sent`);
    if (depth > deepest) {
      throw new Unsendable(`${shown(place)} is nested more than ${deepest} deep, or holds itself`);
    }
    if (Array.isArray(value)) return value.map((one, i) => this.flatten(one, `${place}[${i}]`, depth + 1));
    if (!isPlain(value)) throw new Unsendable(`${shown(place)} is ${describe(value)}, which cannot be sent`);
    const plain: Record<string, JsonValue> = Object.create(null);
    for (const [key, one] of Object.entries(value)) {
      this.#left -= key.length;
      plain[key] = this.flatten(one, `${place}.${key}`, depth + 1);
    }
    return plain;
  }
}

export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

const shown = (place: string) => (place.length > 200 ? `${place.slice(0, 200)}…` : place);

/** A value's kind in a script author's words. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === "number") return String(value);
  if (typeof value === "string") return "a string";
  if (typeof value !== "object") return typeof value === "undefined" ? "undefined" : `a ${typeof value}`;
  if (Array.isArray(value)) return "a list";
  if (isPlain(value)) return "an object";
  const name: unknown = (value as object).constructor?.name;
  return typeof name === "string" && name !== "" ? `a ${name}` : "an object of a class";
}
