import type { Log } from "../../core/log.ts";
import type { ClientAbilities } from "./client-environment.ts";
import { type ClientKey, type Command, denyClient, killClient, plainCommand, type Told, wakeUp } from "./commands.ts";
import type { Reply } from "./management.ts";
import type { KnownTunnel, TunnelTable } from "./tunnel-table.ts";

/** Between telling a client to go and letting it go: the message has left, and on a slow line arrived. */
const hastenAfterMs = 150;
const mostLoggedCharacters = 4_000;

/** What OpenVPN calls a client that has no certificate, or has not shown it yet. */
export const nobodysName = "UNDEF";

export type TellingOptions = {
  wakeUp: boolean;
  pendingAuth?: () => boolean;
  /** Whether OpenVPN knows its IPv4 clients by their IPv4 address: not where it listens for both families at once. */
  plainIpv4: boolean;
  /** One write; a reply for each command. */
  send: (commands: readonly Command[]) => Promise<readonly Reply[]>;
  table: TunnelTable;
  where: { profileId: string; listener: string };
  log: Log;
};

/** What is said to OpenVPN about clients that may not come in or stay. */
export class Telling {
  readonly #options: TellingOptions;
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(options: TellingOptions) {
    this.#options = options;
  }

  /** What an answer to a CONNECT is followed by, in the same write. */
  wake(key: ClientKey): Command[] {
    return this.#wakes() ? [wakeUp(key)] : [];
  }

  /** Sends what may have had to be shortened: the log then has the original. */
  async tell({ commands, altered }: Told, more: readonly Command[] = []): Promise<readonly Reply[]> {
    const { log, where } = this.#options;
    for (const { what, original } of altered) {
      const shown = original.slice(0, mostLoggedCharacters);
      log.warn({ ...where, what, original: shown }, "a text was shortened or cleaned for OpenVPN");
    }
    const replies = await this.#options.send([...commands, ...more]);
    const failed = replies.find((reply) => !reply.ok);
    if (failed !== undefined) log.debug({ ...where, reply: failed.text }, "OpenVPN could not do that");
    return replies;
  }

  /** True where OpenVPN had that key. */
  async deny(
    key: ClientKey,
    abilities: ClientAbilities,
    denial: { reason: string; clientReason: string; retryAfterSeconds?: number },
  ): Promise<boolean> {
    const told = denyClient(key, { ...denial, knowsTemporary: abilities.temporaryRefusal });
    const [reply] = await this.tell(told, this.wake(key));
    return reply?.ok === true;
  }

  /** Ends a client that nobody admitted. */
  kill(cid: number): void {
    this.inBackground(this.tell(killClient(cid, { mayReturn: true, clientReason: null })));
  }

  /**
   * Ends a tunnel that OpenVPN was told yes to. A renegotiation that waits is denied, which shows the person a refusal
   * with its reason; otherwise the client is told to stop. A key that is authorised is never denied: that can leave a
   * dead tunnel. OpenVPN lets go by itself only 5 s after either, so that it is told once more.
   */
  async end(
    known: KnownTunnel,
    end: { reason: string; clientReason: string; retryAfterSeconds?: number; mayReturn: boolean },
  ): Promise<void> {
    const { reauth, cid } = known;
    known.state = "ending";
    known.reauth = undefined;
    const kill = killClient(cid, end);
    // Without the wake-up a denial would wait for the client's next word, and come too late.
    if (reauth !== undefined && this.#wakes()) await this.deny({ cid, kid: reauth.kid }, known.abilities, end);
    else await this.tell(kill);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#options.table.byCid(cid) !== known) return;
      const atOnce = this.#killAtOnce(known);
      this.inBackground(this.tell(atOnce === undefined ? kill : { commands: [atOnce], altered: [] }));
    }, hastenAfterMs);
    this.#timers.add(timer);
  }

  #wakes(): boolean {
    return this.#options.wakeUp && this.#options.pendingAuth?.() !== false;
  }

  inBackground(work: Promise<unknown>): void {
    const { log, where } = this.#options;
    work.catch((error: unknown) => log.debug({ ...where, error }, "OpenVPN could not be told"));
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /**
   * `kill`, which lets go within a millisecond, takes a common name or an IPv4 address with its port. By name it ends
   * all who have it, so only where nobody else has. Neither exists where two IPv6 clients share a certificate.
   */
  #killAtOnce(known: KnownTunnel): Command | undefined {
    const { commonName, ipv4Source } = known;
    const namesakes = this.#options.table.all().filter((one) => one.commonName === commonName);
    // OpenVPN reads at most 127 characters of it, and a colon as the beginning of a port.
    if (
      commonName !== nobodysName &&
      namesakes.length === 1 &&
      /^[^:\p{C}]{1,100}$/u.test(commonName) &&
      Buffer.byteLength(commonName) <= 100
    ) {
      return plainCommand("kill", commonName);
    }
    return this.#options.plainIpv4 && ipv4Source !== undefined ? plainCommand("kill", ipv4Source) : undefined;
  }
}
