import type { RunProgram } from "../../core/system-program.ts";
import type { NetworkClient } from "../network.ts";
import { checkedAddress, checkedDeviceName } from "./checked.ts";

/** Marks our routes in the kernel's tables, as other routing programs do with numbers of theirs (rtnetlink(7)). */
export const routeProtocol = 83;

/** One line of `ip -batch`, and whose fault it is when it fails; nobody's where it only tidies up. */
export type RouteLine = { text: string; owner: string | null };

type Gateway = { device: string; address: string };

/**
 * Host routes and gateway addresses that we put on devices. `ip` executes line by line, so that one that fails stops no
 * other, and what is known here is what was asked for.
 */
export class Routes {
  readonly #run: RunProgram;
  /** Address to device. */
  readonly #routes = new Map<string, string>();
  readonly #gateways = new Map<string, Gateway>();

  constructor(run: RunProgram) {
    this.#run = run;
  }

  add(client: NetworkClient, ownGateways: ReadonlySet<string>): RouteLine[] {
    const device = checkedDeviceName(client.device);
    const owner = client.connectionId;
    const addresses = addressesOf(client);
    const lines: RouteLine[] = [];
    for (const address of addresses) {
      // A group's subnet was changed, and what was the server's is a client's now.
      for (const gateway of [...this.#gateways.values()]) {
        if (gateway.address === address) lines.push(...this.#removeGateway(gateway));
      }
      this.#routes.set(address, device);
      lines.push({ text: `route replace ${host(address)} dev ${device} proto ${routeProtocol}`, owner });
    }
    for (const address of client.gateways.map(checkedAddress)) {
      const key = `${device} ${address}`;
      if (ownGateways.has(address) || addresses.includes(address) || this.#gateways.has(key)) continue;
      this.#gateways.set(key, { device, address });
      const noCheck = address.includes(":") ? " nodad" : "";
      lines.push({ text: `address replace ${host(address)} dev ${device}${noCheck}`, owner });
    }
    return lines;
  }

  /** The address may be somebody else's by now. */
  remove(client: NetworkClient, holds: (address: string) => boolean): RouteLine[] {
    return addressesOf(client).flatMap((address) => {
      const device = this.#routes.get(address);
      if (device === undefined || holds(address)) return [];
      this.#routes.delete(address);
      return [{ text: `route del ${host(address)} dev ${device} proto ${routeProtocol}`, owner: null }];
    });
  }

  /** What is on a device though no client here is, from an earlier life; and forgets what was put on it. */
  async strays(device: string): Promise<RouteLine[]> {
    for (const [key, gateway] of this.#gateways) if (gateway.device === device) this.#gateways.delete(key);
    const present = await routesOn(this.#run, device);
    return present
      .filter((address) => this.#routes.get(address) !== device)
      .map((address) => ({
        text: `route del ${host(address)} dev ${checkedDeviceName(device)} proto ${routeProtocol}`,
        owner: null,
      }));
  }

  everything(): RouteLine[] {
    const routes = [...this.#routes].map(([address, device]) => ({
      text: `route del ${host(address)} dev ${device} proto ${routeProtocol}`,
      owner: null,
    }));
    this.#routes.clear();
    return [...routes, ...[...this.#gateways.values()].flatMap((gateway) => this.#removeGateway(gateway))];
  }

  /** Whose lines failed, and how. */
  async write(lines: readonly RouteLine[]): Promise<Map<string, string>> {
    const failed = new Map<string, string>();
    if (lines.length === 0) return failed;
    const ran = await this.#run("ip", ["-force", "-batch", "-"], lines.map(({ text }) => `${text}\n`).join(""));
    if (ran.ok) return failed;
    const faults = [...ran.stderr.matchAll(/^(.*)\nCommand failed -:(\d+)$/gm)];
    for (const [, why = "", number] of faults) {
      const line = lines[Number(number) - 1];
      if (line !== undefined && line.owner !== null) failed.set(line.owner, `ip ${line.text}: ${why}`);
    }
    if (faults.length > 0) return failed;
    // It did not get through its lines: nobody knows which of them hold.
    for (const { owner } of lines) if (owner !== null) failed.set(owner, ran.stderr.trim() || "ip failed");
    return failed;
  }

  #removeGateway(gateway: Gateway): RouteLine[] {
    const { device, address } = gateway;
    this.#gateways.delete(`${device} ${address}`);
    return [{ text: `address del ${host(address)} dev ${device}`, owner: null }];
  }
}

/** Addresses with a route of ours on a device; none where there is no such device. */
async function routesOn(run: RunProgram, device: string): Promise<string[]> {
  const words = ["route", "show", "dev", checkedDeviceName(device), "proto", `${routeProtocol}`];
  const both = await Promise.all(["-4", "-6"].map((family) => run("ip", ["-json", family, ...words])));
  return both.flatMap(({ ok, stdout }) => {
    const routes = ok && stdout.trim() !== "" ? (JSON.parse(stdout) as { dst?: string }[]) : [];
    return routes.flatMap(({ dst }) => (dst === undefined || dst.includes("/") ? [] : [dst]));
  });
}

function addressesOf(client: NetworkClient): string[] {
  return [client.ipv4, client.ipv6].filter((address) => address !== null).map(checkedAddress);
}

function host(address: string): string {
  return `${address}/${address.includes(":") ? 128 : 32}`;
}
