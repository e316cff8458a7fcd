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


NAMES = {"basestring", "raw_input", "unichr", "unicode", "xrange"}
METHODS = {"has_key", "iteritems", "iterkeys", "itervalues"}
# A script that has one of these words probably runs on both.
BOTH = re.compile(r"version_info|PY2|PY3|NameError|AttributeError|hasattr")


def find_use(text, code):
    """The line of something that Python 3 reads and cannot run, or None; `code` is the text, parsed."""
    bound = {node.id for node in ast.walk(code) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.asname or node.name for node in ast.walk(code) if isinstance(node, ast.alias)}
    bound |= {node.name for node in ast.walk(code) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    bound |= {node.arg for node in ast.walk(code) if isinstance(node, ast.arg)}
    runs_on_both = BOTH.search(text) is not None or "*" in bound
    for node in ast.walk(code):
        if is_print_to(node) and "print" not in bound:
            return node.lineno
        if not runs_on_both and (is_old_name(node, bound) or is_old_method(node)):
            return node.lineno
    return None


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
