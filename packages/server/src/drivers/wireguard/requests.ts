import { SallyportError } from "../../core/errors.ts";
import type { WireGuardAnswer, WireGuardRequest } from "./driver-terms.ts";

type Open = { request: WireGuardRequest; answer: PromiseWithResolvers<WireGuardAnswer> };

/** The lifecycle answers each request within its own deadlines; beyond this it has forgotten one. */
const longestMs = 15 * 60_000;

/** Requests that wait for their answer, one a key. */
export class Requests {
  readonly #open = new Map<string, Open>();

  has(publicKey: string): boolean {
    return this.#open.has(publicKey);
  }

  /** @throws SallyportError `conflict` where this key is being asked for */
  async put(request: WireGuardRequest, ask: () => void): Promise<WireGuardAnswer> {
    const { publicKey } = request.peer;
    if (this.#open.has(publicKey))
      throw new SallyportError("conflict", "this device is being asked for already: wait for that answer");
    const answer = Promise.withResolvers<WireGuardAnswer>();
    this.#open.set(publicKey, { request, answer });
    const late = setTimeout(() => this.fail(publicKey, ended("nobody answered")), longestMs);
    try {
      ask();
      return await answer.promise;
    } finally {
      clearTimeout(late);
      this.#open.delete(publicKey);
    }
  }

  /** @throws SallyportError `connection-ended` where nobody waits for an answer any more */
  get(publicKey: string): WireGuardRequest {
    const open = this.#open.get(publicKey);
    if (open === undefined) throw ended("nobody waits for this answer");
    return open.request;
  }

  answer(publicKey: string, answer: WireGuardAnswer): void {
    const request = this.get(publicKey);
    this.#open.get(request.peer.publicKey)?.answer.resolve(answer);
  }

  fail(publicKey: string, error: unknown): void {
    this.#open.get(publicKey)?.answer.reject(error);
  }

  failAll(): void {
    for (const key of [...this.#open.keys()]) this.fail(key, ended("the server is stopping"));
  }
}

function ended(why: string): SallyportError {
  return new SallyportError("connection-ended", `a request of a WireGuard device ended without an answer: ${why}`);
}
