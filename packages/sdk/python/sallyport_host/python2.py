"""Tells Python 2 from other mistakes."""

import re

HINT = "this is Python 2; 2to3 converts it (2to3 -w FILE)"

STATEMENTS = [
    re.compile(pattern)
    for pattern in (
        r"\bprint\s+[^=\s(.,)\]]",  # print "text"
        r"\bprint\s*>>",  # print >>sys.stderr, "text"
        r"\bprint\s*$",
        r"\bexcept\b[^:]+,\s*\w+\s*:",  # except ValueError, e:
        r"\braise\s+[\w.]+\s*,",  # raise ValueError, "text"
        r"\bexec\s+[^=\s(.,)\]]",  # exec "code"
        r"<>",
        r"`[^`]*`",
        r"\b0[0-7]+\b",  # 0755
        r"\b(0x[0-9a-fA-F]+|\d+)[lL]\b",  # 10L
        r"\b[uU][rR]['\"]",
        r"\bdef\s+\w+\s*\([^)]*\(",  # def f(a, (b, c)):
    )
]

MODULES = {
    "__builtin__",
    "ConfigParser",
    "cPickle",
    "Cookie",
    "cookielib",
    "cStringIO",
    "HTMLParser",
    "httplib",
    "Queue",
    "SocketServer",
    "StringIO",
    "thread",
    "urllib2",
    "urlparse",
    "xmlrpclib",
}


def is_python2_statement(line, error):
    """Whether the line that Python 3 could not read is one that Python 2 could."""
    if isinstance(error, TabError):
        return True  # Python 2 took a tab for eight spaces
    if "Missing parentheses in call to" in str(error.msg):
        return True
    code = re.sub(r"#.*", "", line)
    return any(pattern.search(code) for pattern in STATEMENTS)


def is_python2_import(error):
    return isinstance(error, ModuleNotFoundError) and error.name in MODULES
