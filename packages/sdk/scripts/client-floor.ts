/**
 * Refuses VPN clients that are too old.
 *
 * `minimum` says by platform ("all" for every one) which versions are the oldest, by the variable in which clients send
 * them: IV_VER (OpenVPN itself), IV_GUI_VER (the program around it), UV_ASCLI_VER (Access Server's clients), UV_PLAT_REL
 * (the operating system): { "all": { "IV_VER": "2.6" }, "win": { "UV_PLAT_REL": "10.0.19045" } }
 */
import { allow, checkPlatforms, compareVersions, definePostAuth, deny, versionIn } from "@sallyport/sdk";

const settings = {
  minimum: {} as Record<string, Record<string, string>>,
  /** Whether clients come in that do not send what is asked for. */
  letUnknownIn: false,
  /** What people read whose client is too old. */
  tooOld: "Your VPN client is too old. Please update it and connect again.",
};

export default definePostAuth({ settings, checkSettings }, (request, ctx) => {
  if (request.source !== "vpn") return allow();
  const { minimum, letUnknownIn, tooOld } = ctx.settings;
  const { IV_PLAT: platform = "unknown" } = request.clientInfo;
  for (const [variable, oldest] of Object.entries({ ...minimum.all, ...minimum[platform] })) {
    const sent = request.clientInfo[variable];
    const version = versionIn(sent ?? "");
    if (version === undefined && letUnknownIn) continue;
    if (version === undefined || compareVersions(version, oldest) < 0) {
      const found = sent === undefined ? "not sent" : JSON.stringify(sent);
      return deny({
        reason: `${variable} of a client on ${platform} is ${found}, below ${oldest}`,
        clientReason: tooOld,
      });
    }
  }
  return allow();
});

function checkSettings({ minimum }: typeof settings): void {
  const versions = Object.values(minimum).flatMap((variables) => Object.values(variables));
  if (versions.length === 0) throw new Error('minimum is empty; say for example { "all": { "IV_VER": "2.6" } }');
  checkPlatforms(Object.keys(minimum));
  for (const version of versions) compareVersions(version, version);
}
