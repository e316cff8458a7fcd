"""The objects a script is called with, beyond plain dicts."""

import base64
import pickle

from pyovpn.plugin import FAIL
from sallyport_host.values import Unsendable


class AuthRet(dict):
    """A dict whose keys are attributes too: `authret['status']` and `authret.status` are the same thing."""

    def __getattr__(self, name):
        if name in self:
            return self[name]
        # Nothing was kept yet: scripts ask for it at the first authentication too.
        if name == "state":
            return None
        raise AttributeError("authret has no %r" % name)

    def __setattr__(self, name, value):
        self[name] = value

    def __delattr__(self, name):
        if name not in self:
            raise AttributeError("authret has no %r" % name)
        del self[name]


class CrState(dict):
    """What a script keeps between the rounds of a challenge."""

    def __init__(self, kept, response):
        super().__init__(thaw(kept, "crstate") if kept is not None else {})
        self._response = response
        self._expired = False
        self._challenge = None

    def response(self):
        """The user's answer to the challenge of the round before; None in the first round."""
        return self._response

    def expire(self):
        """Nothing of this state is kept for a later round."""
        self._expired = True

    def challenge_post_auth(self, authret, text, echo=False):
        """Asks the user, unless the script takes it back by deciding otherwise; the answer comes with another call."""
        if not isinstance(text, str):
            raise TypeError("a challenge's text must be a string, not %s" % type(text).__name__)
        self._challenge = {"text": str.__str__(text), "echo": bool(echo)}
        self._expired = False
        authret["status"] = FAIL
        return authret

    def outcome(self):
        """The challenge to be put, if there is one, and the state to keep for the answer."""
        if self._challenge is None:
            return {}
        kept = None if self._expired else freeze(dict(self), "crstate")
        return {"challenge": self._challenge, "crstate": kept}


def freeze(value, what):
    """Pickled and in base64, or None where there is nothing to keep."""
    if value is None:
        return None
    try:
        return base64.b64encode(pickle.dumps(value)).decode("ascii")
    except Exception as error:  # a hostile __reduce__ may raise anything
        raise Unsendable("%s cannot be kept: %s" % (what, error)) from None


def thaw(text, what):
    try:
        return pickle.loads(base64.b64decode(text))
    except Exception as error:  # for example a class that this version of the script no longer has
        raise RuntimeError("%s was kept by another version of the script and cannot be read: %s" % (what, error)) from None
