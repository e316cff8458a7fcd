"""Stands in front of a client script, whichever Python 3 runs it: the module `scripthelper`, and the names of Python 2 that
old scripts use. Under the machine's Python this file is run with the script's path; ours calls `run_script`.
"""

import ast
import builtins
import functools
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import io
import os
import re
import sys
import traceback
import types

HINT = "this is Python 2; 2to3 converts it (2to3 -w FILE)"


def digest_file(path, algorithm="sha1"):
    """Lower-case hex digest of a file. `algorithm`: a name ("sha1"), or what hashlib has (hashlib.sha1)."""
    if isinstance(algorithm, str):
        digest = hashlib.new(algorithm.lower().replace("-", ""))
    else:
        digest = algorithm.new() if isinstance(algorithm, types.ModuleType) else algorithm()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _FileType(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, io.IOBase)


class file(metaclass=_FileType):
    """Python 2's name for open()."""

    def __new__(cls, *arguments, **options):
        return open(*arguments, **options)


# Modules that Python 3 calls otherwise, and those it has taken apart: the first that has a name gives it.
_modules = {
    "urllib2": ("urllib.request", "urllib.error", "urllib.parse"),
    "urlparse": ("urllib.parse",),
    "httplib": ("http.client",),
    "cookielib": ("http.cookiejar",),
    "Cookie": ("http.cookies",),
    "HTMLParser": ("html.parser",),
    "ConfigParser": ("configparser",),
    "Queue": ("queue",),
    "StringIO": ("io",),
    "cStringIO": ("io",),
    "cPickle": ("pickle",),
    "commands": ("subprocess",),
    "_winreg": ("winreg",),
    "thread": ("_thread",),
    "__builtin__": ("builtins",),
    "exceptions": ("builtins",),
}


def _looked_up(name, modules):
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (AttributeError, ImportError):
            continue
    raise AttributeError(name)


class _OldModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Last in the line of finders, so that a module that is there under the old name comes first."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname in _modules or fullname in ("md5", "sha"):
            return importlib.machinery.ModuleSpec(fullname, self)
        return None

    def exec_module(self, module):
        name = module.__name__
        if name in ("md5", "sha"):
            constructor = hashlib.md5 if name == "md5" else hashlib.sha1
            module.new = constructor
            setattr(module, name, constructor)
            return
        parts = _modules[name]
        first = importlib.import_module(parts[0])
        module.__all__ = [public for public in getattr(first, "__all__", dir(first)) if not public.startswith("_")]
        module.__getattr__ = lambda asked: _looked_up(asked, parts)


def _extend_urllib():
    import urllib

    def missing(name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _looked_up(name, ("urllib.request", "urllib.parse", "urllib.error"))

    urllib.__getattr__ = missing


def install():
    helper = types.ModuleType("scripthelper", "What client scripts may use beside Python's own.")
    helper.digest_file = digest_file
    helper.__all__ = ["digest_file"]
    sys.modules["scripthelper"] = helper
    sys.meta_path.append(_OldModules())
    _extend_urllib()
    old_names = {
        "file": file,
        "unicode": str,
        "basestring": str,
        "unichr": chr,
        "long": int,
        "xrange": range,
        "raw_input": input,
        "reduce": functools.reduce,
        "reload": importlib.reload,
        "cmp": lambda a, b: (a > b) - (a < b),
        "execfile": lambda path: exec(compile(open(path, "rb").read(), path, "exec"), sys.modules["__main__"].__dict__),
    }
    for name, value in old_names.items():
        setattr(builtins, name, value)
    os.getcwdu = os.getcwd
    type(os.environ).has_key = lambda self, key: key in self
    sys.maxint = sys.maxsize


def _python2_line(source):
    """The line of a statement that Python 3 reads without complaint and understands otherwise, with what it is."""
    for node in ast.walk(ast.parse(source)):
        value = node.value if isinstance(node, ast.Expr) else None
        if isinstance(value, ast.Tuple) and value.elts:
            value = value.elts[0]
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.RShift):
            value = value.left
        if isinstance(value, ast.Name) and value.id == "print":
            return node.lineno, "a print statement"
        caught = node.type if isinstance(node, ast.ExceptHandler) else None
        if isinstance(caught, ast.Tuple) and len(caught.elts) == 2 and node.name is None:
            second = caught.elts[1]
            if isinstance(second, ast.Name) and second.id.islower() and not hasattr(builtins, second.id):
                return node.lineno, "an except clause with a comma"
    return None


# The line that Python 3 could not read, by what Python 2 would have read there.
_statements = [
    (r"^\s*print\b(?!\s*\()|\bprint\s*>>|;\s*print\s+[^=\s(]", "a print statement"),
    (r"\bexcept\b[^:]+,\s*\w+\s*:", "an except clause with a comma"),
    (r"\braise\s+[\w.]+\s*,", "a raise with a comma"),
    (r"\bexec\s+[^=\s(.,)\]]", "an exec statement"),
    (r"<>", "the operator <>"),
    (r"`[^`]*`", "backquotes for repr"),
    (r"\b0[0-7]+\b", "an octal number without 0o"),
    (r"\b(0x[0-9a-fA-F]+|\d+)[lL]\b", "a long number"),
    (r"\b[uU][rR]['\"]", "a ur string"),
]


def _looks_like_python2(error):
    if isinstance(error, TabError):
        return "tabs and spaces mixed"
    if "Missing parentheses in call to 'print'" in (error.msg or ""):
        return "a print statement"
    code = re.sub(r"#.*", "", error.text or "")
    return next((what for pattern, what in _statements if re.search(pattern, code)), None)


def _refuse(path, line, message):
    sys.stderr.write("%s, line %s: %s\n" % (os.path.basename(path), line, message))
    return 1


def _status(code):
    """Exit status of sys.exit(code), as Python itself has it."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if os.name == "posix" else code
    sys.stderr.write("%s\n" % (code,))
    return 1


def run_script(path):
    """Runs the script as `__main__`; its exit status."""
    install()
    with open(path, "rb") as script:
        source = script.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        old = _python2_line(source)
    except SyntaxError as error:
        old = _looks_like_python2(error)
        if old is not None:
            return _refuse(path, error.lineno, "%s: %s" % (old, HINT))
        return _refuse(path, error.lineno, "%s: %s" % (error.msg, (error.text or "").strip()))
    except ValueError as error:
        return _refuse(path, 1, str(error))
    if old is not None:
        return _refuse(path, old[0], "%s: %s" % (old[1], HINT))
    main = types.ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = builtins
    sys.modules["__main__"] = main
    sys.argv[:] = [path]
    try:
        exec(code, main.__dict__)
    except SystemExit as error:
        return _status(error.code)
    except BaseException as error:
        ours = error.__traceback__
        traceback.print_exception(type(error), error, ours.tb_next if ours is not None else None)
        return 1
    return 0


if __name__ == "__main__" and len(sys.argv) > 1:
    if sys.version_info < (3, 8):
        sys.stderr.write("this is Python %s; client scripts need Python 3.8 or later\n" % sys.version.split()[0])
        sys.exit(1)
    sys.exit(run_script(sys.argv[1]))
