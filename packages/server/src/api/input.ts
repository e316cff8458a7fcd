import { z } from "zod";
import { Secret } from "../core/secret.ts";

const maxTextBytes = 1024 * 1024;

const whole = (text: string) => !text.includes("\0") && text.isWellFormed();
const wholeMessage = "expected text without NUL bytes and broken UTF-8";

/** A user's, group's, script's or hook's name: any valid UTF-8 of 1 to 256 bytes but NUL. Nouns may be stricter. */
export const name = z
  .string()
  .min(1, "expected a name, found nothing")
  .refine((text) => Buffer.byteLength(text) <= 256, "expected at most 256 bytes")
  .refine(whole, wholeMessage);

/** The name of a property or setting. */
export const key = z
  .string()
  .regex(/^[^\s\p{C}]{1,256}$/u, "expected a key of 1 to 256 characters without spaces and control characters");

/** A script, a value: up to 1 MiB. */
export const text = z
  .string()
  .refine((value) => Buffer.byteLength(value) <= maxTextBytes, "expected at most 1 MiB")
  .refine(whole, wholeMessage);

/** A password or an answer: it is a Secret from here on. OpenVPN carries no more than 1,000 bytes either. */
export const secret = z
  .string()
  .refine((value) => Buffer.byteLength(value) <= 1000, "expected at most 1000 bytes")
  .refine(whole, wholeMessage)
  .transform((value) => new Secret(value));

export const id = z.string().min(1).max(100);

/** ISO 8601 UTC. */
export const time = z.iso.datetime({ error: "expected an ISO 8601 UTC time" });

export const limit = (usual: number) => z.int().min(1).max(100_000).default(usual);
