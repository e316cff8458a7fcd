import { type AddressRange, gatewayOf } from "../../core/address-range.ts";
import type { NetworkClient, NetworkProfile } from "../network.ts";
import { baseChains, baseMaps, baseSets } from "./base-table.ts";
import { type Chain, chainsOf, memberSet } from "./chains.ts";
import { checkedAddress, checkedDevice } from "./checked.ts";
import { policyOf } from "./policy.ts";
import { Tracked } from "./tracked.ts";

/** What stands in a table because of one client. */
type Entered = {
  client: NetworkClient;
  addresses: readonly string[];
  elements: readonly (readonly [key: string, rest: string])[];
  chains: readonly Chain[];
  members: readonly (readonly [set: string, address: string])[];
};

type CountedChain = Chain & { count: number };

/**
 * Our table as it should be: policies are chains, and clients are elements of maps that lead into them, so that one
 * more client is a few elements, however many there are. Everything that becomes a word of nft was parsed before, or
 * is a digest.
 */
export class Ruleset {
  readonly #table: string;
  readonly #clients = new Tracked<Entered>();
  /** Whose an address is. */
  readonly #owners = new Tracked<string>();
  /** `set element` to what follows the element: a comment or a verdict. */
  readonly #elements = new Tracked<string>();
  readonly #chains = new Tracked<CountedChain>();
  /** Sets of other clients' addresses, with how many chains look at them. */
  readonly #lookedAt = new Tracked<number>();
  /** Who would be in such a set: set to addresses. */
  readonly #members = new Map<string, Set<string>>();
  #profiles = new Map<string, NetworkProfile>();
  #vpn: AddressRange[] = [];

  constructor(table: string) {
    this.#table = table;
  }

  get size(): number {
    return this.#clients.size;
  }

  client(connectionId: string): NetworkClient | undefined {
    return this.#clients.get(connectionId)?.client;
  }

  clients(): NetworkClient[] {
    return this.#clients.entries().map(([, { client }]) => client);
  }

  /** Which connection an address belongs to. */
  owner(address: string): string | undefined {
    return this.#owners.get(address);
  }

  /** Begins anew; clients are entered afterwards. */
  reset(profiles: readonly NetworkProfile[]): void {
    for (const connectionId of this.#clients.entries().map(([id]) => id)) this.remove(connectionId);
    this.#elements.clear();
    this.#profiles = new Map(profiles.map((profile) => [profile.id, profile]));
    for (const profile of profiles) {
      for (const device of profile.devices) this.#addDevice(device, profile);
      for (const range of [profile.ranges.ipv4, profile.ranges.ipv6]) if (range) this.#addGateway(gatewayOf(range));
    }
  }

  /** The addresses of clients of every profile and group. */
  setVpnRanges(profiles: readonly NetworkProfile[], groupSubnets: readonly AddressRange[]): void {
    const ofProfiles = profiles.flatMap(({ ranges }) => [ranges.ipv4, ranges.ipv6]);
    this.#vpn = [...ofProfiles.filter((range) => range !== null), ...groupSubnets];
  }

  /** Returns the rules of the client that could not be read. */
  add(client: NetworkClient): readonly string[] {
    const profile = this.#profiles.get(client.profileId);
    if (profile === undefined) throw new Error(`the network knows no profile ${client.profileId}`);
    const policy = policyOf(client, profile, this.#vpn);
    const entered = enter(client, chainsOf(policy), policy.restricted);
    const gateways = client.gateways.map(checkedAddress).filter((gateway) => !entered.addresses.includes(gateway));
    this.remove(client.connectionId);
    this.#addDevice(client.device, profile);
    // An address has one holder: who had it before is gone, even if its end has not been told yet.
    for (const address of entered.addresses) {
      const holder = this.#owners.get(address);
      if (holder !== undefined) this.remove(holder);
      this.#owners.set(address, client.connectionId);
    }
    for (const gateway of gateways) this.#addGateway(gateway);
    for (const [key, rest] of entered.elements) this.#elements.set(key, rest);
    this.#clients.set(client.connectionId, entered);
    for (const [set, address] of entered.members) this.#join(set, address);
    for (const chain of entered.chains) this.#use(chain);
    return policy.unreadable;
  }

  remove(connectionId: string): NetworkClient | undefined {
    const entered = this.#clients.get(connectionId);
    if (entered === undefined) return undefined;
    for (const [set, address] of entered.members) this.#leave(set, address);
    for (const [key] of entered.elements) this.#elements.delete(key);
    for (const chain of entered.chains) this.#disuse(chain);
    for (const address of entered.addresses) this.#owners.delete(address);
    this.#clients.delete(connectionId);
    return entered.client;
  }

  settle(): void {
    for (const tracked of this.#tracked()) tracked.settle();
  }

  undo(): void {
    for (const tracked of this.#tracked()) tracked.undo();
    this.#members.clear();
    for (const [, { members }] of this.#clients.entries()) {
      for (const [set, address] of members) this.#remember(set, address);
    }
  }

  /** What turns the table as it was at the last `settle` into what it should be; empty where nothing changed. */
  changes(): string {
    const before: string[] = [];
    const after: string[] = [];
    const elements = this.#elements.changes().filter(({ before, now }) => before !== now);
    before.push(
      ...this.#each(
        "delete",
        elements.flatMap(({ key, before: had }) => (had === undefined ? [] : [[key, had]])),
      ),
    );
    for (const { key, before: had, now } of this.#chains.changes()) {
      if (had === undefined && now !== undefined) after.push(...this.#chain(now.name, now.rules));
      if (had !== undefined && now === undefined) {
        before.push(`flush chain inet ${this.#table} ${key}`, `delete chain inet ${this.#table} ${key}`);
      }
    }
    for (const { key, before: had, now } of this.#lookedAt.changes()) {
      if (had === undefined && now !== undefined) after.unshift(this.#memberSet(key));
      if (had !== undefined && now === undefined) before.push(`delete set inet ${this.#table} ${key}`);
    }
    after.push(
      ...this.#each(
        "add",
        elements.flatMap(({ key, now }) => (now === undefined ? [] : [[key, now]])),
      ),
    );
    return lines([...before, ...after]);
  }

  /** The whole table, in the place of whatever has its name, in one transaction. */
  whole(): string {
    const inTable = `inet ${this.#table}`;
    return lines([
      // Deleting what is not there is a fault; adding what is there is none.
      `add table ${inTable}`,
      `delete table ${inTable}`,
      `add table ${inTable}`,
      ...Object.entries(baseSets).map(([name, type]) => `add set ${inTable} ${name} { ${type}; }`),
      ...Object.entries(baseMaps).map(([name, type]) => `add map ${inTable} ${name} { ${type}; }`),
      ...this.#lookedAt.entries().map(([name]) => this.#memberSet(name)),
      ...this.#chains.entries().flatMap(([name, { rules }]) => this.#chain(name, rules)),
      ...Object.entries(baseChains).flatMap(([name, rules]) => this.#chain(name, rules)),
      ...this.#each("add", this.#elements.entries()),
    ]);
  }

  /** `delete table`, also where it is not there. */
  nothing(): string {
    return lines([`add table inet ${this.#table}`, `delete table inet ${this.#table}`]);
  }

  /** The names of the table's chains, and how many rules each has: by these a foreign change is noticed. */
  shape(): Map<string, number> {
    const base = Object.entries(baseChains).map(([name, rules]) => {
      return [name, rules.filter((rule) => !rule.startsWith("type ")).length] as const;
    });
    return new Map([...base, ...this.#chains.entries().map(([name, { rules }]) => [name, rules.length] as const)]);
  }

  #tracked(): Tracked<unknown>[] {
    return [this.#clients, this.#owners, this.#elements, this.#chains, this.#lookedAt] as Tracked<unknown>[];
  }

  #addDevice(device: string, profile: NetworkProfile): void {
    this.#elements.set(`tunnels ${checkedDevice(device)}`, "");
    if (profile.forwarding) this.#elements.set(`forwarding ${checkedDevice(device)}`, "");
  }

  #addGateway(address: string): void {
    this.#elements.set(`gateways-${familyOf(address)} ${address}`, "");
  }

  #use(chain: Chain): void {
    const known = this.#chains.get(chain.name);
    this.#chains.set(chain.name, { ...chain, count: (known?.count ?? 0) + 1 });
    if (known === undefined) for (const set of chain.sets) this.#lookAt(set, 1);
  }

  #disuse(chain: Chain): void {
    const known = this.#chains.get(chain.name);
    if (known === undefined) return;
    if (known.count > 1) {
      this.#chains.set(chain.name, { ...known, count: known.count - 1 });
      return;
    }
    this.#chains.delete(chain.name);
    for (const set of chain.sets) this.#lookAt(set, -1);
  }

  #lookAt(set: string, step: 1 | -1): void {
    const count = (this.#lookedAt.get(set) ?? 0) + step;
    if (count > 0) this.#lookedAt.set(set, count);
    else this.#lookedAt.delete(set);
    if (count === 1 && step === 1) {
      for (const address of this.#members.get(set) ?? []) this.#elements.set(`${set} ${address}`, "");
    } else if (count === 0) {
      for (const address of this.#members.get(set) ?? []) this.#elements.delete(`${set} ${address}`);
    }
  }

  #join(set: string, address: string): void {
    this.#remember(set, address);
    if (this.#lookedAt.get(set) !== undefined) this.#elements.set(`${set} ${address}`, "");
  }

  #leave(set: string, address: string): void {
    this.#elements.delete(`${set} ${address}`);
    const members = this.#members.get(set);
    members?.delete(address);
    if (members?.size === 0) this.#members.delete(set);
  }

  #remember(set: string, address: string): void {
    const members = this.#members.get(set) ?? new Set();
    this.#members.set(set, members.add(address));
  }

  /** One statement a set. */
  #each(verb: "add" | "delete", elements: readonly (readonly string[])[]): string[] {
    const bySet = new Map<string, string[]>();
    for (const [key = "", rest = ""] of elements) {
      const space = key.indexOf(" ");
      const [set, element] = [key.slice(0, space), key.slice(space + 1)];
      const isVerdict = rest.startsWith(" :");
      const text = `${element}${verb === "add" || isVerdict ? rest : ""}`;
      const texts = bySet.get(set);
      if (texts === undefined) bySet.set(set, [text]);
      else texts.push(text);
    }
    return [...bySet].map(([set, texts]) => `${verb} element inet ${this.#table} ${set} { ${texts.join(", ")} }`);
  }

  #chain(name: string, rules: readonly string[]): string[] {
    const [hook, ...others] = rules[0]?.startsWith("type ") ? rules : ["", ...rules];
    const declared = `add chain inet ${this.#table} ${name}${hook ? ` { ${hook} }` : ""}`;
    return [declared, ...others.map((rule) => `add rule inet ${this.#table} ${name} ${rule}`)];
  }

  #memberSet(name: string): string {
    return `add set inet ${this.#table} ${name} { type ${name.endsWith("-4") ? "ipv4_addr" : "ipv6_addr"}; }`;
  }
}

function enter(client: NetworkClient, chains: ReturnType<typeof chainsOf>, restricted: boolean): Entered {
  const addresses = [client.ipv4, client.ipv6].filter((address) => address !== null).map(checkedAddress);
  const device = checkedDevice(client.device);
  const comment = /^[0-9a-f-]{36}$/.test(client.connectionId) ? ` comment "${client.connectionId}"` : "";
  const elements = addresses.flatMap((address) => {
    const family = familyOf(address);
    return [
      [`clients-${family} ${device} . ${address}`, comment] as const,
      ...(restricted ? [[`restricted-${family} ${address}`, ""] as const] : []),
      ...Object.entries(chains).flatMap(([map, chain]) =>
        chain === undefined ? [] : [[`${map}-${family} ${address}`, ` : jump ${chain.name}`] as const],
      ),
    ];
  });
  const members = addresses.flatMap((address) => {
    const family = familyOf(address);
    const ofGroup = client.group === null ? [] : [[memberSet("group", client.group.name, family), address] as const];
    return [...ofGroup, [memberSet("user", client.userId, family), address] as const];
  });
  return { client, addresses, elements, chains: Object.values(chains).filter((one) => one !== undefined), members };
}

function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

function lines(statements: readonly string[]): string {
  return statements.map((statement) => `${statement}\n`).join("");
}
