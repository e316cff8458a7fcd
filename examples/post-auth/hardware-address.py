"""One device for each user: the first that connects is remembered, others are refused.

The address comes from the client itself and can be forged by whoever tries: this keeps honest people to their own
machines, and is no second factor. Clients send it when their configuration says `push-peer-info`.
To let somebody move to a new device: sallyport property delete --user NAME pvt_hw_addr
"""
from pyovpn.plugin import SUCCEED, FAIL


def post_auth(authcred, attributes, authret, info):
    # Logging in to a web page needs no device.
    if not attributes.get("vpn_auth"):
        return authret

    address = authcred.get("client_hw_addr") or attributes.get("client_info", {}).get("IV_HWADDR")
    if not address:
        authret["status"] = FAIL
        authret["reason"] = "the client sent no hardware address"
        authret["client_reason"] = "This VPN client does not identify its device. Please ask for a new configuration."
        return authret

    known = authret["proplist"].get("pvt_hw_addr")
    if known is None:
        print("first device of", authret["user"], ":", address)
        return authret, {"pvt_hw_addr": address.lower()}
    if known != address.lower():
        authret["status"] = FAIL
        authret["reason"] = "hardware address %s, expected %s" % (address, known)
        authret["client_reason"] = "This device is not registered for your account."
    return authret
