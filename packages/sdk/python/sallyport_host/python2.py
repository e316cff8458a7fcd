"""Tells Python 2 from other mistakes."""

import ast
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


NAMES = {"basestring", "cmp", "execfile", "long", "raw_input", "reduce", "reload", "unichr", "unicode", "xrange"}
METHODS = {"has_key", "iteritems", "iterkeys", "itervalues"}
OF_MODULES = {
    "itertools": {"ifilter", "imap", "izip"},
    "string": {"join", "letters", "lower", "lowercase", "replace", "split", "strip", "upper", "uppercase"},
    "sys": {"maxint", "setdefaultencoding"},
    "urllib": {"quote", "quote_plus", "unquote", "urlencode", "urlopen", "urlretrieve"},
}
# A script that has one of these words probably runs on both.
BOTH = re.compile(r"version_info|PY2|PY3|NameError|AttributeError|hasattr")


def find_use(text, code):
    """The line of something that Python 3 reads and cannot run, or None; `code` is the text, parsed."""
    own = {node.id for node in ast.walk(code) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    own |= {node.name for node in ast.walk(code) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    own |= {node.arg for node in ast.walk(code) if isinstance(node, ast.arg)}
    bound = own | {name for node in ast.walk(code) for name in imported(node)}
    runs_on_both = BOTH.search(text) is not None or "*" in bound
    for node in ast.walk(code):
        if is_print_to(node) and "print" not in bound:
            return node.lineno
        if not runs_on_both and (is_old_name(node, bound) or is_old_method(node) or is_moved(node, bound - own)):
            return node.lineno
    return None


def imported(node):
    """What an import binds; "*" where nobody knows. Nearly every script imports everything from pyovpn.plugin: two ints."""
    if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "pyovpn":
        return [one.asname or one.name for one in node.names if one.name != "*"]
    return [one.asname or one.name for one in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []


def is_print_to(node):
    """`print >>file, "text"` is a comparison of a function with a file to Python 3."""
    shift = isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift)
    return shift and isinstance(node.left, ast.Name) and node.left.id == "print"


def is_old_name(node, bound):
    return isinstance(node, ast.Name) and node.id in NAMES and node.id not in bound


def is_old_method(node):
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS
    # `six.iteritems(x)` has an argument.
    return called and len(node.args) == (1 if node.func.attr == "has_key" else 0) and not node.keywords


def is_moved(node, imported_names):
    """`urllib.urlopen`, where `urllib` is nothing but the module."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return False
    return node.value.id in imported_names and node.attr in OF_MODULES.get(node.value.id, ())
