import { readFileSync } from "node:fs";
import { Secret } from "../../../src/core/secret.ts";
import type { AccessRequest } from "../../../src/core/vpn-event.ts";
import type { DriverEvents } from "../../../src/drivers/driver.ts";
import { createWireGuardDriver } from "../../../src/drivers/wireguard/wireguard-driver.ts";

/**
 * The real driver in the namespace this process was started in, spoken to from outside. What it tells the lifecycle goes
 * out as it comes; a small lifecycle lets in whoever is not named `denied` or `questioned`. Who is expected stands in a
 * file, which outlives it as the ledger does. Killing it is a kill -9 of the daemon.
 */
type Call = { id: number; method: string; args: unknown[] };
export type ExpectedInFile = {
  publicKey: string;
  presharedKey: string | null;
  allowedIps: string[];
  counts?: { bytesIn: number; bytesOut: number };
};

const settings = JSON.parse(process.argv[2] ?? "{}");
const tell = (level: string, message: string, fields: object) => {
  process.send?.({ log: { level, message, fields: JSON.parse(JSON.stringify(fields, errorsAsText)) } });
};
const errorsAsText = (_: string, value: unknown) => (value instanceof Error ? value.message : value);
const log = (level: string) => (fields: object, message: string) => tell(level, message, fields);
const inFile = (): { expected: ExpectedInFile[]; ours: string[] } => JSON.parse(readFileSync(settings.ledger, "utf8"));
const secret = (text: string | null) => (text === null ? null : new Secret(text));

const driver = createWireGuardDriver({
  interfaces: [
    {
      ...settings.interface,
      mode:
        settings.interface.mode.kind === "attach"
          ? settings.interface.mode
          : { ...settings.interface.mode, privateKey: new Secret(settings.interface.mode.privateKey) },
    },
  ],
  expected: async () => inFile().expected.map((peer) => ({ ...peer, presharedKey: secret(peer.presharedKey) })),
  isOurs: async (_, publicKey) => inFile().ours.includes(publicKey),
  shookHands: (seen) => tell("event", "shookHands", seen),
  observed: (seen) => tell("event", "observed", { seen }),
  log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
});

const events: DriverEvents = {
  asked: (request) => {
    tell("event", "asked", request.tunnel);
    answer(request).catch((error: Error) => tell("error", "not answered", { error }));
  },
  established: (tunnel) => tell("event", "established", tunnel),
  traffic: (counts) => tell("event", "traffic", { counts }),
  gone: (tunnel, counts) => tell("event", "gone", { ...tunnel, counts }),
  attached: async (listener, tunnels) => {
    tell("event", "attached", { ...listener, tunnels });
    const rows = inFile().expected.filter(({ allowedIps }) => allowedIps.length > 0);
    for (const { tunnel } of tunnels)
      if (!rows.some(({ publicKey }) => publicKey === tunnel.key))
        await driver.disconnect(tunnel, { mayReturn: false, clientReason: null });
  },
};

async function answer(request: AccessRequest): Promise<void> {
  const { tunnel, username } = request;
  if (username === "denied")
    return driver.refuse(tunnel, { kind: "connect", reason: "it said no", clientReason: "No." });
  if (username === "questioned") {
    const question = { stateId: "s", userName: "questioned", text: "?", echo: false, responseRequired: true };
    return driver.challenge(tunnel, { ...question, waitMs: 1_000 });
  }
  const { four, six } = request.clientInfo;
  const assigned = (address: string | undefined, prefixLength: number, gateway: string) =>
    address === undefined ? null : { address, prefixLength, gateway };
  await driver.admit(tunnel, {
    kind: "connect",
    ipv4: assigned(four, 20, "10.43.0.1"),
    ipv6: assigned(six, 64, "fd43:1::1"),
    routes: [],
    dns: [],
  });
}

const methods: Record<string, (...args: never[]) => Promise<unknown>> = {
  start: () => driver.start(events),
  stop: (how: "end" | "leave") => driver.stop(how),
  synchronise: () => driver.synchronise(settings.interface.profileId),
  interfaces: async () => driver.interfaces(),
  disconnect: (tunnel: AccessRequest["tunnel"]) => driver.disconnect(tunnel, { mayReturn: false, clientReason: null }),
  request: (request: Parameters<typeof driver.request>[0]) => {
    const { peer } = request;
    const presharedKey = secret(peer.presharedKey as unknown as string | null);
    return driver.request({ ...request, peer: { ...peer, presharedKey } });
  },
};

process.on("message", async ({ id, method, args }: Call) => {
  try {
    process.send?.({ id, result: (await methods[method]?.(...(args as never[]))) ?? null });
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    process.send?.({ id, error: { code, message } });
  }
});
process.on("disconnect", () => process.exit());
process.send?.({ ready: true });
