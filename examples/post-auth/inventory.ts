/** Lets in only devices that the company's inventory knows, and puts them into the group that it says. */
import { allow, definePostAuth, deny } from "@sallyport/sdk";

const settings = {
  /** Asked for https://…/devices/ADDRESS; answers 404, or { "owner": "…", "group": "…" } in JSON. */
  url: "https://inventory.example.org/devices/",
  /** Whether people come in while the inventory does not answer. */
  letInWithoutAnswer: false,
};

type Device = { owner: string; group?: string };

export default definePostAuth({ settings }, async (request, ctx) => {
  if (request.source !== "vpn") return allow();
  const { hardwareAddress, user } = request;
  if (hardwareAddress === undefined) return deny("the client sent no hardware address");

  let device: Device | undefined;
  try {
    device = await find(hardwareAddress, ctx.settings.url, ctx.signal);
  } catch (error) {
    ctx.log("the inventory does not answer:", error);
    if (ctx.settings.letInWithoutAnswer) return allow({ reason: "the inventory could not be asked" });
    throw error; // denied as an outage, not as somebody's fault
  }
  if (device?.owner !== user) {
    const reason = `${hardwareAddress} belongs to ${device?.owner ?? "nobody"}, not to ${user}`;
    return deny({ reason, clientReason: "This device is not registered for you." });
  }
  return allow(device.group === undefined ? {} : { group: device.group });
});

async function find(address: string, url: string, signal: AbortSignal): Promise<Device | undefined> {
  const response = await fetch(new URL(encodeURIComponent(address), url), { signal });
  if (response.status === 404) return undefined;
  if (!response.ok) throw new Error(`the inventory answered ${response.status}`);
  return (await response.json()) as Device;
}
