/**
 * Lets users in from their own devices alone, by the hardware address that the client sends.
 *
 * A device is known by the property pvt_hw_addr of its user, further ones by pvt_hw_addr2, pvt_hw_addr3, and so on.
 * With `registration: "automatic"` the first devices of a user are remembered; with "manual" an administrator enters
 * them: sallyport property set --user NAME pvt_hw_addr 00:01:02:ab:cd:ef
 *
 * The address is the client's own word and can be forged by whoever tries: this keeps honest people to their own
 * machines, and is no second factor. Clients send it where their configuration says push-peer-info.
 */
import { addressIsIn, allow, definePostAuth, deny } from "@sallyport/sdk";

const settings = {
  /** "automatic" or "manual". */
  registration: "automatic",
  /** How many devices a user may have, 1 to 10. */
  devices: 1,
  /** From where devices are remembered, for example the office's networks; with none, from anywhere. */
  registerFrom: [] as string[],
  /** What people read whose device is not theirs. */
  unknownDevice: "This device is not registered for your account.",
  /** What people read whose client does not send an address. */
  noAddress: "This VPN client does not identify its device. Please ask for a new configuration.",
};

export default definePostAuth({ settings, checkSettings }, (request, ctx) => {
  // Whoever signs in to a web page has no device yet.
  if (request.source !== "vpn") return allow();
  const { registration, devices, registerFrom, unknownDevice, noAddress } = ctx.settings;
  const address = normal(request.hardwareAddress ?? request.clientInfo.IV_HWADDR ?? "");
  if (address === "") return deny({ reason: "the client sent no hardware address", clientReason: noAddress });

  const names = Array.from({ length: devices }, (_, i) => (i === 0 ? "pvt_hw_addr" : `pvt_hw_addr${i + 1}`));
  if (names.some((name) => normal(request.properties[name] ?? "") === address)) return allow();

  const free = names.find((name) => (request.properties[name] ?? "") === "");
  const refuse = (why: string) =>
    deny({ reason: `hardware address ${address} of ${request.user}: ${why}`, clientReason: unknownDevice });
  if (registration === "manual") return refuse("not registered");
  if (free === undefined) return refuse(`all ${devices} devices are others`);
  if (registerFrom.length > 0 && !addressIsIn(request.clientAddress, registerFrom)) {
    return refuse(`new devices are not remembered from ${request.clientAddress}`);
  }
  ctx.log(`${request.user}: ${address} is remembered as ${free}`);
  return allow({ save: { [free]: address } });
});

/** Small letters, bytes apart by colons. */
function normal(address: string): string {
  return address.trim().toLowerCase().replaceAll("-", ":");
}

function checkSettings({ registration, devices, registerFrom }: typeof settings): void {
  if (registration !== "automatic" && registration !== "manual") {
    throw new Error('registration must be "automatic" or "manual"');
  }
  if (!Number.isInteger(devices) || devices < 1 || devices > 10) throw new Error("devices must be from 1 to 10");
  addressIsIn("192.0.2.1", registerFrom);
}
