"""Asks for a PIN beside the password, in the same dialogue, and decides in which group whoever has none may come in.

Client configurations that are issued while this script is active carry the question (`static-challenge`).
The PIN is the property pvt_pin of the user.
"""
import hmac

from pyovpn.plugin import SUCCEED, FAIL

STATIC_CHALLENGE = "PIN"
STATIC_CHALLENGE_ECHO = False

WITHOUT_PIN = "visitors"


def post_auth(authcred, attributes, authret, info):
    pin = authret["proplist"].get("pvt_pin")
    if pin is None:
        authret["proplist"]["conn_group"] = WITHOUT_PIN
        return authret
    if not hmac.compare_digest(authcred.get("static_response", "").encode(), pin.encode()):
        authret["status"] = FAIL
        authret["reason"] = "wrong PIN" if "static_response" in authcred else "no PIN was sent"
        authret["client_reason"] = "The PIN is wrong."
    return authret
