"""Refuses clients that are too old to be trusted, and platforms that nobody supports."""
from pyovpn.plugin import SUCCEED, FAIL

PLATFORMS = {"win", "mac", "linux", "android", "ios"}
OLDEST = (2, 6)


def version(text):
    """`2.6.14` → (2, 6, 14); what is no number ends it: `3.git` → (3,)."""
    numbers = []
    for part in text.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def refuse(authret, reason):
    authret["status"] = FAIL
    authret["reason"] = reason
    authret["client_reason"] = "Please update your VPN client: https://vpn.example.org/clients"
    return authret


def post_auth(authcred, attributes, authret, info):
    if not attributes.get("vpn_auth"):
        return authret
    client = attributes["client_info"]
    platform = client.get("IV_PLAT", "unknown")
    if platform not in PLATFORMS:
        return refuse(authret, "platform %s is not supported" % platform)
    if version(client.get("IV_VER", "")) < OLDEST:
        return refuse(authret, "client version %s is too old" % client.get("IV_VER"))
    return authret
