"""Asks a question before the connection is admitted, three times at most.

The answer is kept as a salted digest on the user's record. To set it (the digest is of the answer in small letters):

    python3 -c 'import hashlib; print("salt:" + hashlib.sha256(b"salt" + input().lower().encode()).hexdigest())'
    sallyport property set --user NAME pvt_answer SALT:DIGEST
"""
import hashlib
import hmac

from pyovpn.plugin import SUCCEED, FAIL

QUESTION = "What was the name of your first pet?"
TRIES = 3


def is_right(answer, kept):
    salt, _, digest = kept.partition(":")
    found = hashlib.sha256((salt + answer.strip().lower()).encode()).hexdigest()
    return hmac.compare_digest(found, digest)


def post_auth_cr(authcred, attributes, authret, info, crstate):
    # Whoever stays connected has answered already.
    if attributes.get("reauth"):
        return authret

    kept = authret["proplist"].get("pvt_answer")
    if kept is None:
        authret["status"] = FAIL
        authret["reason"] = "no answer is on record (property pvt_answer)"
        authret["client_reason"] = "Your account is not ready for the VPN yet. Please tell your administrator."
        return authret

    if "tries" not in crstate:
        crstate["tries"] = 0
        crstate.challenge_post_auth(authret, QUESTION)
        return authret

    crstate["tries"] += 1
    if is_right(crstate.response(), kept):
        crstate.expire()
        return authret
    if crstate["tries"] < TRIES:
        crstate.challenge_post_auth(authret, "That is not it. " + QUESTION)
        return authret

    crstate.expire()
    authret["status"] = FAIL
    authret["reason"] = "%d wrong answers" % TRIES
    authret["client_reason"] = "The answer was wrong."
    return authret
