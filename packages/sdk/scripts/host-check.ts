/**
 * Asks clients for programs on their machine: that they are there, that they are not, or in which versions.
 *
 * The setting vpn.client.app_verify of the server says what clients look for; here is what must come of it, by platform
 * (win, mac, linux; "all" for every one): { "win": { "ANTIVIRUS": ">=4.18 <6" }, "all": { "FORBIDDEN": "absent" } }
 * A requirement is "present", "absent" or a range of versions.
 *
 * The answers are the client's own word.
 */
import { allow, checkPlatforms, definePostAuth, deny, versionIn, versionIsIn } from "@sallyport/sdk";

const settings = {
  programs: {} as Record<string, Record<string, string>>,
  /** Whether clients come in on platforms of which nothing is required, telephones for example. */
  letOthersIn: false,
  /** What people read; the program and what is required of it follow. */
  notMet: "Your computer does not meet the requirements of this VPN:",
  /** What people read on platforms of which nothing is required. */
  otherPlatform: "This VPN cannot be used on this kind of device.",
};

/** What clients send in place of a version. */
const notThere = "ERR_NOT_FOUND";

export default definePostAuth({ settings, checkSettings }, (request, ctx) => {
  if (request.source !== "vpn") return allow();
  const { programs, letOthersIn, notMet, otherPlatform } = ctx.settings;
  const { IV_PLAT: platform = "unknown" } = request.clientInfo;
  if (!Object.hasOwn(programs, platform) && programs.all === undefined && !letOthersIn) {
    return deny({ reason: `nothing is known of hosts on ${platform}`, clientReason: otherPlatform });
  }
  for (const [name, required] of Object.entries({ ...programs.all, ...programs[platform] })) {
    const sent = request.clientInfo[`UV_APPVER_${name}`];
    if (sent !== undefined && isMet(sent, required)) continue;
    const found = sent === undefined ? "the client was not asked, or does not answer" : sent;
    return deny({ reason: `${name} must be ${required}: ${found}`, clientReason: `${notMet} ${name} ${required}` });
  }
  return allow();
});

function isMet(sent: string, required: string): boolean {
  if (required === "absent") return sent === notThere;
  if (required === "present") return sent !== notThere && !sent.startsWith("ERR_REGEX");
  const version = sent.startsWith("ERR_") ? undefined : versionIn(sent);
  return version !== undefined && versionIsIn(version, required);
}

function checkSettings({ programs }: typeof settings): void {
  const required = Object.values(programs).flatMap((platform) => Object.values(platform));
  if (required.length === 0) throw new Error('programs is empty; say for example { "win": { "ANTIVIRUS": ">=4.18" } }');
  checkPlatforms(Object.keys(programs));
  for (const one of required) if (one !== "present" && one !== "absent") versionIsIn("1", one);
}
