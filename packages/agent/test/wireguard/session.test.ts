import { afterEach, expect, test } from "vitest";
import { until } from "../../../server/test/waiting.ts";
import { readWireGuardProfile } from "../../src/profile/wireguard-file.ts";
import type { Tunnel } from "../../src/tunnel/tunnel.ts";
import type { WireGuardTraffic } from "../../src/wireguard/device.ts";
import { watchWireGuard } from "../../src/wireguard/session.ts";

const key = `${"A".repeat(43)}=`;
const profile = readWireGuardProfile(
  `[Interface]\nPrivateKey = ${key}\nAddress = 10.43.0.2/32\n[Peer]\nPublicKey = ${key}\nAllowedIPs = 127.0.0.0/8\nEndpoint = 127.0.0.1:9\n`,
);

let tunnel: Tunnel | undefined;
let said: string[] = [];
let takenDown = 0;

afterEach(() => tunnel?.stop());

function watch(traffic: () => WireGuardTraffic, terms: { firstAnswerMs?: number; silenceMs?: number } = {}): Tunnel {
  said = [];
  takenDown = 0;
  tunnel = watchWireGuard({
    device: {
      name: "wg-none",
      traffic: async () => traffic(),
      takeDown: async () => {
        takenDown += 1;
      },
    },
    ...{ profile, target: "127.0.0.1", firstAnswerMs: 20_000, silenceMs: 400, ...terms },
    events: {
      up: ({ ipFour }) => said.push(`up ${ipFour}`),
      down: (reason) => said.push(`down ${reason}`),
      progress: () => undefined,
    },
  });
  return tunnel;
}

test("a handshake is the tunnel coming up, silence its loss, and what is heard again its return", async () => {
  let bytes = 0;
  let silent = true;
  const watched = watch(() => {
    if (!silent) bytes += 100;
    return { lastHandshake: bytes === 0 ? null : 1, receivedBytes: bytes };
  });
  silent = false;
  await until("up", () => said.length === 1);
  silent = true;
  await until("down", () => said.length === 2);
  silent = false;
  await until("up again", () => said.length === 3);
  await watched.stop();
  expect(said).toEqual(["up 10.43.0.2", "down the server fell silent", "up 10.43.0.2", "down the connection is gone"]);
  expect([await watched.ended, takenDown]).toEqual([undefined, 1]);
});

test("a server that never answers is unreachable, and nothing is left", async () => {
  const watched = watch(() => ({ lastHandshake: null, receivedBytes: 0 }), { firstAnswerMs: 300 });
  expect(await watched.ended).toMatchObject({ kind: "unreachable" });
  expect([said, takenDown]).toEqual([[], 1]);
});

test("an interface that somebody else took away ends it", async () => {
  const watched = watch(() => {
    throw new Error("No such device");
  });
  expect(await watched.ended).toMatchObject({ kind: "failed", message: expect.stringContaining("No such device") });
});
