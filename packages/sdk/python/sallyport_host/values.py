"""What a script returned, as JSON. Judging it is the daemon's part; here it is only told what cannot be sent."""

import math

DEEPEST = 32


class Unsendable(Exception):
    """A result the daemon cannot be told; the message says which part and why."""


class Flattening:
    """Copies a value into plain lists, dicts, strings, integers, floats, booleans and None.

    JSON does not tell 0.0 from 0, so a float without a fraction becomes `{"$float": "0.0"}`.
    """

    def __init__(self, limit):
        self._limit = limit
        self._left = limit

    def flatten(self, value, place, depth=0):
        kind = type(value)
        self._left -= len(value) if kind is str else 1
        if self._left < 0:
            raise Unsendable("the result is larger than %d bytes" % self._limit)
        if kind is str or kind is bool or value is None:
            return value
        if kind is int:
            return bounded(value, place)
        if depth > DEEPEST:
            raise Unsendable("%s is nested more than %d deep, or holds itself" % (place[:200], DEEPEST))
        if isinstance(value, dict):
            return self._flatten_dict(value, place, depth)
        if isinstance(value, (list, tuple)):
            return [self.flatten(one, "%s[%d]" % (place, i), depth + 1) for i, one in enumerate(value)]
        if isinstance(value, str):
            return self.flatten(str.__str__(value), place, depth)
        if isinstance(value, int):
            return bounded(int.__int__(value), place)
        if isinstance(value, float):
            return flatten_float(float.__float__(value), place)
        raise Unsendable("%s is %s, which cannot be returned" % (place[:200], describe_type(value)))

    def _flatten_dict(self, value, place, depth):
        plain = {}
        for key, one in value.items():
            if type(key) is str and type(one) is str:
                # Nearly all that scripts return, without naming its place for an error that cannot occur.
                self._left -= len(key) + len(one)
                if self._left < 0:
                    raise Unsendable("the result is larger than %d bytes" % self._limit)
                plain[key] = one
                continue
            if not isinstance(key, str):
                raise Unsendable("%s has the key %s; keys must be strings" % (place[:200], repr(key)[:100]))
            key = self.flatten(str.__str__(key), place, depth)
            plain[key] = self.flatten(one, "%s[%r]" % (place, key[:100]), depth + 1)
        return plain


def unflatten(value):
    """Floats again, as another script returned them, where JSON would make integers of them."""
    if isinstance(value, list):
        return [unflatten(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and isinstance(value.get("$float"), str):
        return float(value["$float"])
    return {key: unflatten(one) for key, one in value.items()}


def bounded(value, place):
    if not -(2**63) <= value < 2**63:
        raise Unsendable("%s is an integer of more than 64 bits" % place[:200])
    return value


def flatten_float(value, place):
    if not math.isfinite(value):
        raise Unsendable("%s is %r, which cannot be returned" % (place[:200], value))
    return {"$float": repr(value)} if value.is_integer() else value


def describe_type(value):
    name = type(value).__name__
    return ("an " if name[:1].lower() in "aeiou" else "a ") + name
