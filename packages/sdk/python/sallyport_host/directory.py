"""`info['ldap_context']`: searches over the server's own directory connection, in the shape of the ldap3 library."""

SCOPES = {"BASE": "base", "LEVEL": "one", "SUBTREE": "sub"}


class DirectoryError(Exception):
    """The directory refused the search or could not be asked."""


class AuthLdap:
    def __init__(self, name_attribute):
        self.parms = {"uname_attr": name_attribute}


class LdapContext:
    """`with info['ldap_context'] as l:`. `search(query)` returns entries, or raises DirectoryError."""

    def __init__(self, search, name_attribute):
        self._search = search
        self.authldap = AuthLdap(name_attribute)

    def __enter__(self):
        return Connection(self._search, self.authldap)

    def __exit__(self, kind, error, trace):
        return False


class Connection:
    """What ldap3 scripts use of its Connection."""

    def __init__(self, search, authldap):
        self._search = search
        self.authldap = authldap
        self.entries = []
        self.response = []
        self.result = {}

    def search(
        self,
        search_base,
        search_filter,
        search_scope="SUBTREE",
        dereference_aliases="ALWAYS",
        attributes=None,
        **_others,
    ):
        """True where something was found; `entries` holds it. Other keyword arguments of ldap3 have no effect."""
        wanted = [attributes] if isinstance(attributes, str) else list(attributes or [])
        scope = SCOPES.get(str(search_scope).upper())
        if scope is None:
            raise DirectoryError("search_scope is %r; it must be BASE, LEVEL or SUBTREE" % (search_scope,))
        query = {
            "base": str(search_base),
            "filter": str(search_filter),
            "attributes": [str(name) for name in wanted],
            "scope": scope,
        }
        found = self._search(query)
        self.entries = [Entry(one["dn"], one["attributes"], wanted) for one in found]
        self.response = [
            {"type": "searchResEntry", "dn": one["dn"], "attributes": one["attributes"]} for one in found
        ]
        self.result = {"result": 0, "description": "success", "message": ""}
        return bool(self.entries)


class Entry:
    """One entry. Attribute names are compared without regard to case; one that was asked for and is not there is empty."""

    def __init__(self, dn, attributes, wanted):
        self._dn = dn
        self._names = [name for name in attributes]
        self._attributes = {name.lower(): Attribute(name, values) for name, values in attributes.items()}
        for name in wanted:
            if name not in ("*", "+"):
                self._attributes.setdefault(name.lower(), Attribute(name, []))

    @property
    def entry_dn(self):
        return self._dn

    @property
    def entry_attributes(self):
        return list(self._names)

    @property
    def entry_attributes_as_dict(self):
        return {name: list(self[name].values) for name in self._names}

    def __getattr__(self, name):
        if not name.startswith("__") and "_attributes" in self.__dict__ and name.lower() in self._attributes:
            return self._attributes[name.lower()]
        raise AttributeError("the entry has no attribute %r" % name)

    def __getitem__(self, name):
        if name.lower() not in self._attributes:
            raise KeyError(name)
        return self._attributes[name.lower()]

    def __contains__(self, name):
        return name.lower() in self._attributes

    def __iter__(self):
        return iter(self._attributes.values())

    def __repr__(self):
        return "DN: %s %r" % (self._dn, self.entry_attributes_as_dict)


class Attribute:
    """`value` is a string when there is one, a list when there are several, None when there is none."""

    def __init__(self, key, values):
        self.key = key
        self.values = list(values)

    @property
    def value(self):
        if not self.values:
            return None
        return self.values[0] if len(self.values) == 1 else self.values

    @property
    def raw_values(self):
        return [one.encode("utf-8") for one in self.values]

    def __iter__(self):
        return iter(self.values)

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]

    def __contains__(self, value):
        return value in self.values

    def __eq__(self, other):
        return self.value == (other.value if isinstance(other, Attribute) else other)

    __hash__ = None

    def __str__(self):
        return str(self.value)

    def __repr__(self):
        return "%s: %r" % (self.key, self.value)
