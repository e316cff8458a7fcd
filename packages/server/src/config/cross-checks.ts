import type { Listener, SocketAddress } from "./config.ts";
import { keyOf, type Path, quote } from "./faults.ts";
import type { PlacedHook } from "./hooks.ts";
import { sameSocket } from "./listen.ts";
import { overlap, type PlacedProfile } from "./profiles.ts";
import { addFault, type Reading } from "./reading.ts";

/** What can be wrong between parts that are each right alone. Parts with faults of their own are not here. */
export type ReadParts = {
  hooks: readonly PlacedHook[];
  profiles: readonly PlacedProfile[];
  httpListen: SocketAddress | undefined;
  scriptDeadlineMs: number | undefined;
};

/** OpenVPN's default hand-window: answers that come later than this find nobody waiting. */
const handWindowMs = 60_000;
const reserveMs = 5000;

export function checkTogether(reading: Reading, parts: ReadParts): void {
  const ids = parts.profiles.map(({ profile, path }) => ({ name: profile.id, path: [...path, "id"] }));
  const names = parts.hooks.map(({ hook, path }) => ({
    name: hook.name,
    path: path[0] === "hooks" ? [...path, "name"] : path,
  }));
  checkUnique(reading, ids, "an id of its own");
  checkUnique(reading, names, "a name of its own");
  checkRangesApart(reading, parts.profiles);
  checkSocketsApart(reading, parts);
  const attached = parts.profiles.flatMap(({ profile: { tunnel }, path }) =>
    tunnel.mode === "attach" && tunnel.protocol === "openvpn"
      ? [{ name: tunnel.name.replace(/^listen:/, ""), path: [...path, "openvpn", "attach"] }]
      : [],
  );
  checkUnique(reading, attached, "a server of its own");
  const interfaces = parts.profiles.flatMap(({ profile: { tunnel }, path }) => {
    if (tunnel.protocol !== "wireguard") return [];
    const at = tunnel.mode === "managed" ? ["managed", "interface"] : ["attach"];
    return [{ name: tunnel.interface, path: [...path, "wireguard", ...at] }];
  });
  checkUnique(reading, interfaces, "an interface of its own");
  checkDeadlines(reading, parts);
}

function checkUnique(reading: Reading, named: readonly { name: string; path: Path }[], expected: string): void {
  const first = new Map<string, Path>();
  for (const { name, path } of named) {
    const other = first.get(name);
    if (other) addFault(reading, { path, expected, found: `${quote(name)}, as ${keyOf(other)} has it` });
    else first.set(name, path);
  }
}

function checkRangesApart(reading: Reading, profiles: readonly PlacedProfile[]): void {
  const seen: { range: NonNullable<PlacedProfile["profile"]["ranges"]["ipv4"]>; id: string }[] = [];
  for (const { profile, path } of profiles) {
    const own = [profile.ranges.ipv4, profile.ranges.ipv6].filter((range) => range !== null);
    for (const range of own) {
      const other = seen.find((earlier) => overlap(earlier.range, range));
      const at = [...path, "ranges", `ipv${range.family}`];
      if (other) {
        const found = `${range.cidr}, which overlaps ${other.range.cidr} of ${other.id}`;
        addFault(reading, { path: at, expected: "a range no other profile has a part of", found });
      }
    }
    seen.push(...own.map((range) => ({ range, id: profile.id })));
  }
}

function checkSocketsApart(reading: Reading, { profiles, httpListen }: ReadParts): void {
  const sockets = profiles.flatMap(({ profile, path }): (Omit<Listener, "name"> & { path: Path })[] => {
    const { tunnel } = profile;
    if (tunnel.mode !== "managed") return [];
    if (tunnel.protocol === "wireguard") {
      const at = [...path, "wireguard", "managed", "listenPort"];
      return [{ transport: "udp", address: null, port: tunnel.listenPort, path: at }];
    }
    return tunnel.listeners.map((listener, i) => ({ ...listener, path: [...path, "openvpn", "managed", "listen", i] }));
  });
  if (httpListen) sockets.unshift({ transport: "tcp", ...httpListen, path: ["http", "listen"] });
  for (const [i, socket] of sockets.entries()) {
    const other = sockets.slice(0, i).find((earlier) => sameSocket(earlier, socket));
    if (other) {
      const found = `${socket.transport} port ${socket.port}, which ${keyOf(other.path)} takes`;
      addFault(reading, { path: socket.path, expected: "a port that is free", found });
    }
  }
}

/** All of them in a row must fit into the time a client waits, also one that cannot be told to wait longer. */
function checkDeadlines(reading: Reading, { hooks, scriptDeadlineMs }: ReadParts): void {
  if (scriptDeadlineMs === undefined) return;
  const vetoes = hooks.filter(({ hook }) => hook.veto);
  const waits = [
    { name: "scripts.deadlineMs", ms: scriptDeadlineMs, path: ["scripts", "deadlineMs"] as Path },
    ...vetoes.map(({ hook, path }) => ({
      name: hook.name,
      ms: hook.deadlineMs,
      path: path[0] === "hooks" ? [...path, "deadlineMs"] : path,
    })),
  ];
  const sumMs = waits.reduce((sum, wait) => sum + wait.ms, 0);
  if (sumMs < handWindowMs - reserveMs) return;
  const longest = waits.reduce((a, b) => (b.ms > a.ms ? b : a));
  const limit = `less than ${handWindowMs - reserveMs} ms for the scripts and all veto hooks together`;
  const found = `${sumMs} ms (${waits.map(({ name, ms }) => `${name} ${ms}`).join(" + ")})`;
  addFault(reading, { path: longest.path, expected: limit, found });
}
