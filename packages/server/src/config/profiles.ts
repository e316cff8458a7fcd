import { resolve } from "node:path";
import type { z } from "zod";
import { type AddressRange, parseRange } from "../core/address-range.ts";
import type { DeviceTerms, ProfileConfig } from "./config.ts";
import { describeValue, type Path } from "./faults.ts";
import { addFault, addWarning, type Reading, take, valueAt } from "./reading.ts";
import { profileSchema } from "./schema.ts";
import { readSecretFile } from "./secrets.ts";

/** A profile and the key it came from, for the checks that compare profiles with each other. */
export type PlacedProfile = { profile: ProfileConfig; path: Path };

/** Reads one entry of `profiles`. */
export async function readProfile(reading: Reading, value: unknown, path: Path): Promise<PlacedProfile | undefined> {
  const written = take(reading, profileSchema, value, path);
  const oneProtocol = exactlyOne(reading, value, path, ["openvpn", "wireguard"]);
  const oneMode = (["openvpn", "wireguard"] as const).every((protocol) => {
    const inside = valueAt(value, [protocol]);
    return inside === undefined || exactlyOne(reading, inside, [...path, protocol], ["managed", "attach"]);
  });
  if (!written) return undefined;
  checkRanges(reading, written, path);
  await checkAttached(reading, written, path);
  const tunnel = tunnelOf(written, reading.directory);
  if (!oneProtocol || !oneMode || !tunnel) return undefined;
  const { id, routes, dns, forwarding, nat } = written;
  return {
    path,
    profile: {
      id,
      displayName: written.displayName ?? id,
      ranges: { ipv4: written.ranges.ipv4 ?? null, ipv6: written.ranges.ipv6 ?? null },
      routes: routes.map((route) => route.cidr),
      dns,
      forwarding,
      nat,
      sessionExpiryMs: written.sessionExpiry ?? null,
      devices: deviceTerms(written),
      tunnel,
    },
  };
}

function exactlyOne(reading: Reading, value: unknown, path: Path, keys: readonly [string, string]): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return true;
  const present = keys.filter((key) => key in value);
  if (present.length === 1) return true;
  const found = present.length === 0 ? (Object.keys(value).length === 0 ? describeValue(value) : "neither") : "both";
  addFault(reading, { path, part: "key", expected: `one of ${keys.join(" and ")}`, found });
  return false;
}

function tunnelOf(written: z.output<typeof profileSchema>, directory: string): ProfileConfig["tunnel"] | undefined {
  const { openvpn, wireguard } = written;
  if (openvpn?.managed) {
    const { listen, wakeUp, renegotiateSeconds } = openvpn.managed;
    return { protocol: "openvpn", mode: "managed", listeners: listen, wakeUp, renegotiateSeconds };
  }
  if (openvpn?.attach !== undefined) {
    const { attach, passwordFile, certificates = "any", wakeUp = true } = openvpn;
    const file = passwordFile === undefined ? null : resolve(directory, passwordFile);
    return { protocol: "openvpn", mode: "attach", ...attach, passwordFile: file, certificates, wakeUp };
  }
  if (wireguard === undefined) return undefined;
  const { managed, attach, trigger, silenceSeconds } = wireguard;
  const common = { protocol: "wireguard", trigger, silenceMs: silenceSeconds * 1000 } as const;
  if (managed) return { ...common, mode: "managed", ...managed };
  if (attach !== undefined) return { ...common, mode: "attach", interface: attach };
  return undefined;
}

function deviceTerms({ wireguard }: z.output<typeof profileSchema>): DeviceTerms | null {
  if (wireguard === undefined) return null;
  const { maxDevices, presharedKeys, unusedDays, endpoint } = wireguard;
  return {
    most: maxDevices ?? null,
    presharedKeys,
    unusedMs: unusedDays === undefined ? null : unusedDays * 86_400_000,
    endpoint: endpoint ?? null,
  };
}

/** The keys that go with `attach` alone, and those that a server of somebody else's has no use for. */
async function checkAttached(reading: Reading, written: z.output<typeof profileSchema>, path: Path): Promise<void> {
  const { openvpn, wireguard } = written;
  if (openvpn?.attach !== undefined || wireguard?.attach !== undefined) checkTheirs(reading, written, path);
  if (openvpn === undefined) return;
  if (openvpn.attach === undefined) {
    for (const key of ["passwordFile", "certificates", "wakeUp"] as const) {
      if (openvpn[key] === undefined) continue;
      const expected = "it beside attach alone";
      addFault(reading, { path: [...path, "openvpn", key], part: "key", expected, found: "it without attach" });
    }
    return;
  }
  const { passwordFile, attach } = openvpn;
  if (passwordFile !== undefined) await readSecretFile(reading, [...path, "openvpn", "passwordFile"], passwordFile);
  const { at } = attach.management;
  if ("host" in at && !/^(127\.|::1$)/.test(at.host)) {
    addWarning(reading, [...path, "openvpn", "attach"], "passwords cross the network unencrypted: use a unix socket");
  } else if ("host" in at && passwordFile === undefined) {
    addWarning(
      reading,
      [...path, "openvpn", "attach"],
      "every account of this machine can reach it: use a passwordFile",
    );
  }
}

function checkTheirs(
  reading: Reading,
  { forwarding, nat }: Pick<z.output<typeof profileSchema>, "forwarding" | "nat">,
  path: Path,
): void {
  const theirs = "the server's own firewall, as the server is not ours";
  if (forwarding) addFault(reading, { path: [...path, "forwarding"], expected: theirs, found: "true beside attach" });
  if (nat !== "none") addFault(reading, { path: [...path, "nat"], expected: theirs, found: `${nat} beside attach` });
}

/** Ranges whose addresses no client can hold. */
const unusable = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"]
  .map(parseRange)
  .filter((range) => range !== undefined);

export function overlap(a: AddressRange, b: AddressRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

function checkRanges(reading: Reading, written: z.output<typeof profileSchema>, path: Path): void {
  const at = [...path, "ranges"];
  const { ipv4, ipv6 } = written.ranges;
  if (!ipv4 && !ipv6) addFault(reading, { path: at, expected: "ipv4, ipv6 or both", found: "neither" });
  for (const range of [ipv4, ipv6]) {
    if (!range) continue;
    const rangePath = [...at, `ipv${range.family}`];
    const longest = range.family === 4 ? 30 : 126;
    if (range.prefixLength > longest) {
      const expected = `a range with room for the server and a client (/${longest} or larger)`;
      addFault(reading, { path: rangePath, expected, found: range.cidr });
    } else if (unusable.some((other) => overlap(range, other))) {
      addFault(reading, { path: rangePath, expected: "a range of ordinary addresses", found: range.cidr });
    }
  }
}
