"""Puts people into Sallyport's groups by their groups in the directory, and refuses whoever is in none of them."""
from pyovpn.plugin import SUCCEED, FAIL

# Group in the directory (its common name, in small letters), group here; the first that fits is taken.
GROUPS = [
    ("vpn-admins", "admins"),
    ("engineering", "eng"),
    ("staff", "staff"),
]

# The group is chosen here, before its properties are looked up.
GROUP_SELECT = True


def common_name(dn):
    """`CN=Engineering,OU=groups,…` → `engineering`."""
    name, _, value = dn.split(",")[0].partition("=")
    return value.strip().lower() if name.strip().lower() == "cn" else None


def post_auth(authcred, attributes, authret, info):
    if info.get("auth_method") != "ldap":
        authret["status"] = FAIL
        authret["reason"] = "not authenticated by LDAP but by %s" % info.get("auth_method")
        return authret

    with info["ldap_context"] as ldap:
        ldap.search(info["user_dn"], "(objectClass=*)", search_scope="BASE", attributes=["memberOf"])
        entries = ldap.entries
    member_of = entries[0].memberOf.values if entries else []
    names = {common_name(dn) for dn in member_of}

    for theirs, ours in GROUPS:
        if theirs in names:
            authret["proplist"]["conn_group"] = ours
            return authret

    authret["status"] = FAIL
    authret["reason"] = "in no group that may use the VPN: %s" % (sorted(filter(None, names)) or "none at all")
    authret["client_reason"] = "Your account is not in a group that may use the VPN."
    return authret
