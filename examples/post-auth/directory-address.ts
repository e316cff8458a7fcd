/** Gives people the address that the directory holds for them, and their department as their group. */
import { allow, definePostAuth, deny, ldapFilter } from "@sallyport/sdk";

export default definePostAuth(async (request, ctx) => {
  if (ctx.ldap === undefined) return deny(`authenticated by ${request.method}, not by LDAP`);
  const me = await ctx.ldap.readUser(["vpnAddress", "department"]);
  const address = me?.value("vpnAddress");
  if (address === undefined) return allow();

  // Two entries with the same address would throw each other out.
  const holders = await ctx.ldap.search({ filter: ldapFilter`(vpnAddress=${address})`, attributes: [] });
  if (holders.length > 1) {
    const reason = `${address} is given to ${holders.map(({ dn }) => dn).join(" and ")}`;
    return deny({ reason, clientReason: "Your VPN address is not set up properly. Please tell your administrator." });
  }
  const group = me?.value("department")?.toLowerCase();
  return allow({ address, ...(group !== undefined && { group }) });
});
