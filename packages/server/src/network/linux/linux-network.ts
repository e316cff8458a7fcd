import { type AddressRange, gatewayOf } from "../../core/address-range.ts";
import { SallyportError } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import { createRunProgram, type RunProgram } from "../../core/system-program.ts";
import type { Network, NetworkClient, NetworkProfile } from "../network.ts";
import { Batches, WaitedTooLong } from "./batches.ts";
import { checkedDeviceName } from "./checked.ts";
import { inspectForwarding } from "./inspect-forwarding.ts";
import { createResidentPrograms } from "./resident.ts";
import { type RouteLine, Routes } from "./routes.ts";
import { RuleWriter } from "./rule-writer.ts";
import { Ruleset } from "./ruleset.ts";
import { Sysctls } from "./sysctls.ts";

export type LinuxNetworkOptions = {
  /** `tableName(dataDirectory)`. */
  table: string;
  /** Where it is kept which of the kernel's switches are ours to set back. */
  stateFile: string;
  /** Subnets of all groups, as they are now. */
  groupSubnets: () => Promise<readonly AddressRange[]>;
  log: Log;
  /** One run of nft or ip may take so long. */
  deadlineMs?: number;
  /** How long after a look whether somebody else changed our table comes the next one; 0: nobody looks. */
  watchMs?: number;
};

type Change =
  | { kind: "start"; profiles: readonly NetworkProfile[]; clients: readonly NetworkClient[] }
  | { kind: "admit"; client: NetworkClient }
  | { kind: "release"; connectionId: string }
  | { kind: "restore"; device: string; clients: readonly NetworkClient[] }
  | { kind: "look" }
  | { kind: "end" };

const longestWaitMs = 10_000;
const pauseMs = 2;
const mostTogether = 2_000;

/** The network of a Linux machine, with nft and ip. */
export function createLinuxNetwork(options: LinuxNetworkOptions): Network {
  const { deadlineMs = 5_000 } = options;
  return new LinuxNetwork(options, createResidentPrograms({ run: createRunProgram({ deadlineMs }), deadlineMs }));
}

class LinuxNetwork implements Network {
  readonly #options: LinuxNetworkOptions;
  readonly #run: RunProgram;
  readonly #closePrograms: () => void;
  readonly #rules: Ruleset;
  readonly #writer: RuleWriter;
  readonly #routes: Routes;
  readonly #sysctls: Sysctls;
  readonly #changes: Batches<Change>;
  #profiles: readonly NetworkProfile[] = [];
  #groupSubnets: readonly AddressRange[] = [];
  #watch: NodeJS.Timeout | null = null;
  #started = false;

  constructor(options: LinuxNetworkOptions, { run, close }: ReturnType<typeof createResidentPrograms>) {
    this.#options = options;
    this.#run = run;
    this.#closePrograms = close;
    this.#rules = new Ruleset(options.table);
    this.#writer = new RuleWriter({ rules: this.#rules, table: options.table, run, log: options.log });
    this.#routes = new Routes(run);
    this.#sysctls = new Sysctls(options.stateFile);
    this.#changes = new Batches({ apply: (changes) => this.#apply(changes), pauseMs, most: mostTogether });
  }

  async start({ profiles, clients }: { profiles: readonly NetworkProfile[]; clients: readonly NetworkClient[] }) {
    orThrow("the network could not be set up", await this.#changes.submit({ kind: "start", profiles, clients }));
    const of = (family: "ipv4" | "ipv6") => profiles.some((one) => one.forwarding && one.ranges[family] !== null);
    // The rules are there before the first packet is forwarded.
    await this.#sysctls.want({ ipv4: of("ipv4"), ipv6: of("ipv6") }).catch((error: unknown) => {
      throw new SallyportError("network-failed", `the kernel's switches for forwarding cannot be set: ${error}`);
    });
    if (this.#watch === null) this.#lookLater(0);
  }

  async admit(client: NetworkClient): Promise<void> {
    const fault = await this.#changes.submit({ kind: "admit", client }, longestWaitMs);
    orThrow(`connection ${client.connectionId} could not be let into the network`, fault);
  }

  async release(connectionId: string): Promise<void> {
    const fault = await this.#changes.submit({ kind: "release", connectionId });
    if (fault) this.#options.log.error({ connection: connectionId, error: fault }, "rules of a connection may remain");
  }

  async restore(device: string, clients: readonly NetworkClient[]): Promise<void> {
    orThrow(
      `the network of ${device} could not be set up`,
      await this.#changes.submit({ kind: "restore", device, clients }),
    );
  }

  inspect() {
    const { table } = this.#options;
    return inspectForwarding({ table, profiles: this.#profiles, run: this.#run });
  }

  async stop(how: "end" | "leave"): Promise<void> {
    if (this.#watch !== null) clearTimeout(this.#watch);
    this.#watch = null;
    if (how === "end") {
      // Nothing is forwarded without rules, not even for a moment.
      await this.#changes.idle();
      await this.#sysctls.restore();
      const fault = await this.#changes.submit({ kind: "end" });
      if (fault) this.#options.log.error({ error: fault }, "rules or routes of ours may remain on the machine");
    }
    await this.#changes.idle();
    this.#closePrograms();
  }

  #lookLater(lastLookMs: number): void {
    const { watchMs = 2_000 } = this.#options;
    if (watchMs === 0) return;
    // A look at a large table takes a while: then it is worth less often.
    const look = setTimeout(
      async () => {
        const begun = performance.now();
        await this.#changes.submit({ kind: "look" });
        if (this.#watch === look) this.#lookLater(performance.now() - begun);
      },
      Math.max(watchMs, 30 * lastLookMs),
    );
    this.#watch = look.unref();
  }

  async #apply(changes: Change[]): Promise<(Error | null)[]> {
    const begun = performance.now();
    await this.#readGroupSubnets();
    const faults = new Map<Change, Error>();
    const lines: RouteLine[] = [];
    for (const change of changes) {
      try {
        lines.push(...(await this.#prepare(change)));
      } catch (error) {
        faults.set(change, error instanceof Error ? error : new Error(String(error)));
      }
    }
    const admitted = changes.flatMap((change) => (change.kind === "admit" && !faults.has(change) ? [change] : []));
    // One that left in the same batch, or whose address somebody else has by now, is not there to be added.
    const present = admitted.filter(({ client }) => this.#rules.client(client.connectionId) === client);
    const [ruleFaults, routeFaults] = await Promise.all([
      this.#writer.write(present.map(({ client }) => client)),
      this.#routes.write(lines),
    ]);
    for (const change of admitted) {
      const { connectionId } = change.client;
      const routeFault = routeFaults.get(connectionId);
      const fault = ruleFaults.get(connectionId) ?? (routeFault === undefined ? undefined : new Error(routeFault));
      if (fault) faults.set(change, fault);
    }
    await this.#takeBack(admitted.filter((change) => faults.has(change)).map(({ client }) => client));
    for (const change of changes) {
      if (change.kind === "admit" || faults.has(change)) continue;
      const fault = ruleFaults.get("") ?? this.#restoreFault(change, routeFaults);
      if (fault) faults.set(change, fault);
    }
    const durationMs = Math.round(performance.now() - begun);
    this.#options.log.debug({ changes: changes.length, failed: faults.size, durationMs }, "changed the network");
    return changes.map((change) => faults.get(change) ?? null);
  }

  /** Enters a change into what should be, and says what it means for routes. */
  async #prepare(change: Change): Promise<RouteLine[]> {
    switch (change.kind) {
      case "start":
        return await this.#begin(change.profiles, change.clients);
      case "admit":
        return this.#enter(change.client);
      case "release":
        return this.#leave(change.connectionId);
      case "restore":
        return await this.#restore(change.device, change.clients);
      case "look":
        await this.#writer.look();
        return [];
      case "end":
        this.#writer.removeAll();
        this.#started = false;
        return this.#routes.everything();
    }
  }

  /** At a later start it is known here who is connected; the list may be older than the last admission or release. */
  async #begin(profiles: readonly NetworkProfile[], listed: readonly NetworkClient[]): Promise<RouteLine[]> {
    const byId = new Map(listed.map((client) => [client.connectionId, client]));
    const clients = this.#started
      ? this.#rules.clients().map((client) => byId.get(client.connectionId) ?? client)
      : listed;
    this.#started = true;
    this.#profiles = profiles;
    this.#rules.reset(profiles);
    await this.#readGroupSubnets();
    this.#writer.makeWhole();
    // A device that is not there yet gets its routes when it is restored.
    return this.#enterAll(clients).map((line) => ({ ...line, owner: null }));
  }

  async #restore(device: string, clients: readonly NetworkClient[]): Promise<RouteLine[]> {
    checkedDeviceName(device);
    const before = this.#rules.clients().filter((client) => client.device === device);
    const left = this.#leaveOthers(before, clients);
    const strays = await this.#routes.strays(device);
    const entered = this.#enterAll(clients);
    this.#writer.makeWhole();
    return [...left, ...strays, ...entered];
  }

  #leaveOthers(before: readonly NetworkClient[], kept: readonly NetworkClient[]): RouteLine[] {
    const ids = new Set(kept.map(({ connectionId }) => connectionId));
    return before.flatMap(({ connectionId }) => (ids.has(connectionId) ? [] : this.#leave(connectionId)));
  }

  /** One that cannot be entered (its profile is no more) has no rules, so nothing of it passes; the others have theirs. */
  #enterAll(clients: readonly NetworkClient[]): RouteLine[] {
    return clients.flatMap((client) => {
      try {
        return this.#enter(client);
      } catch (error) {
        this.#options.log.warn({ connection: client.connectionId, error }, "a connection is left without network");
        return [];
      }
    });
  }

  async #readGroupSubnets(): Promise<void> {
    try {
      this.#groupSubnets = await this.#options.groupSubnets();
    } catch (error) {
      this.#options.log.warn({ error }, "the groups' subnets cannot be read; the last known ones hold");
    }
    this.#rules.setVpnRanges(this.#profiles, this.#groupSubnets);
  }

  #enter(client: NetworkClient): RouteLine[] {
    const unreadable = this.#rules.add(client);
    for (const rule of unreadable) {
      const fields = { connection: client.connectionId, user: client.userId, rule };
      this.#options.log.warn(fields, "an access rule cannot be read, so it allows nothing");
    }
    const own = this.#profiles.flatMap(({ ranges }) => [ranges.ipv4, ranges.ipv6]).filter((range) => range !== null);
    return this.#routes.add(client, new Set(own.map(gatewayOf)));
  }

  #leave(connectionId: string): RouteLine[] {
    const client = this.#rules.remove(connectionId);
    if (client === undefined) return [];
    return this.#routes.remove(client, (address) => this.#rules.owner(address) !== undefined);
  }

  /** Half an admission is none. */
  async #takeBack(clients: readonly NetworkClient[]): Promise<void> {
    if (clients.length === 0) return;
    const lines = clients.flatMap((client) => {
      this.#rules.remove(client.connectionId);
      return this.#routes.remove(client, (address) => this.#rules.owner(address) !== undefined);
    });
    await Promise.all([this.#writer.write([]), this.#routes.write(lines)]);
  }

  #restoreFault(change: Change, routeFaults: ReadonlyMap<string, string>): Error | undefined {
    if (change.kind !== "restore") return undefined;
    const failed = change.clients.flatMap(({ connectionId }) => routeFaults.get(connectionId) ?? []);
    return failed.length === 0 ? undefined : new Error(`${failed.length} routes failed: ${failed[0]}`);
  }
}

function orThrow(what: string, fault: Error | null): void {
  if (fault === null) return;
  const code = fault instanceof WaitedTooLong ? "too-busy" : "network-failed";
  throw new SallyportError(code, `${what}: ${fault.message}`, { cause: fault });
}
