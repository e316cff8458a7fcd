"""Checks name and password itself (AUTH_NULL: no other method is asked), against a list of one-day vouchers.

A voucher is `NAME-CHECK`, where CHECK are the first ten digits of a keyed digest over the name.
"""
import hashlib
import hmac

from pyovpn.plugin import SUCCEED, FAIL

AUTH_NULL = True
RETAIN_PASSWORD = True

KEY = b"change this"


def voucher_for(name):
    return "%s-%s" % (name, hmac.new(KEY, name.encode(), hashlib.sha256).hexdigest()[:10])


def post_auth(authcred, attributes, authret, info):
    name = authcred["username"]
    given = authcred.get("password", "")
    if hmac.compare_digest(given.encode(), voucher_for(name).encode()):
        authret["status"] = SUCCEED
        authret["proplist"]["conn_group"] = "visitors"
        return authret
    authret["status"] = FAIL
    authret["reason"] = "not the voucher of %s" % name
    authret["client_reason"] = "This voucher is not valid."
    return authret
