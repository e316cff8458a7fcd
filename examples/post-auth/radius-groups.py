"""Takes the group from the RADIUS attribute Class (25), as `group=NAME` or as the bare name."""
from pyovpn.plugin import SUCCEED, FAIL

CLASS = 25


def post_auth(authcred, attributes, authret, info):
    for value in info.get("radius_reply", {}).get(CLASS, []):
        name = value.split("=", 1)[1] if value.startswith("group=") else value
        authret["proplist"]["conn_group"] = name
        return authret
    authret["status"] = FAIL
    authret["reason"] = "the RADIUS server named no Class"
    return authret
