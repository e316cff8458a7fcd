"""From a script's text to its functions and what its globals ask for."""

import ast
import inspect
import io
import linecache
import sys
import traceback
import types

from sallyport_host import python2

PARAMETERS = {
    "post_auth": ("authcred", "attributes", "authret", "info"),
    "post_auth_cr": ("authcred", "attributes", "authret", "info", "crstate"),
}


class Fault(Exception):
    """Why a script cannot be loaded, and where, as far as that is known (lines and columns count from 1)."""

    def __init__(self, message, line=None, column=None):
        super().__init__(message)
        self.line = line
        self.column = column


def load(name, text):
    """The script's entry function and its facts. Raises Fault."""
    code = compile_script(name, text)
    module = types.ModuleType("post_auth_script")
    module.__file__ = name
    # Where pickle looks for the classes of a script that keeps state.
    sys.modules[module.__name__] = module
    # So that tracebacks can quote the script, which is no file here.
    linecache.cache[name] = (len(text), None, io.StringIO(text, newline=None).readlines(), name)
    run_top_level(name, code, module)
    kind, entry = find_entry(module)
    return entry, {
        "entry": kind,
        "synchronous": bool(module.__dict__.get("SYNCHRONOUS", False)),
        "authNull": bool(module.__dict__.get("AUTH_NULL", False)),
        "retainPassword": bool(module.__dict__.get("RETAIN_PASSWORD", False)),
        "groupSelect": bool(module.__dict__.get("GROUP_SELECT", False)),
        "staticChallenge": static_challenge(module),
        "staticChallengeEcho": bool(module.__dict__.get("STATIC_CHALLENGE_ECHO", False)),
        "x509Track": x509_track(name, module),
    }


def compile_script(name, text):
    try:
        tree = ast.parse(text, name)
        line = python2.find_use(text, tree)
        if line is not None:
            raise Fault(python2.HINT, line)
        return compile(tree, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        lines = io.StringIO(text, newline=None).readlines()
        line = lines[error.lineno - 1] if error.lineno and error.lineno <= len(lines) else ""
        if python2.is_python2_statement(line, error):
            raise Fault("%s: %s" % (python2.HINT, error.msg), error.lineno, error.offset) from None
        raise Fault("%s: %s" % (type(error).__name__, error.msg), error.lineno, error.offset) from None
    except (ValueError, MemoryError, RecursionError, OverflowError) as error:
        raise Fault("Python cannot read the script: %s" % (str(error) or type(error).__name__)) from None


def run_top_level(name, code, module):
    try:
        exec(code, module.__dict__)
    except BaseException as error:  # sys.exit() too
        raise fault_of(name, error) from None


def fault_of(name, error):
    message = traceback.format_exception_only(type(error), error)[-1].strip()
    if python2.is_python2_import(error):
        message = "%s: %s" % (python2.HINT, message)
    elif isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "pyovpn":
        message = "%s; of pyovpn there is pyovpn.plugin with SUCCEED and FAIL, and nothing else" % message
    elif isinstance(error, ModuleNotFoundError):
        message = "%s; install it for %s, or name the Python of a virtual environment in scripts.python" % (
            message,
            sys.executable,
        )
    return Fault(message, last_line(name, error))


def last_line(name, error):
    """The line of the script that was running, innermost."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return lines[-1] if lines else None


def find_entry(module):
    for kind in ("post_auth_cr", "post_auth"):
        entry = module.__dict__.get(kind)
        if entry is not None:
            check_entry(kind, entry)
            return kind, entry
    functions = [key for key, value in module.__dict__.items() if isinstance(value, types.FunctionType)]
    found = "it defines %s" % ", ".join(sorted(functions)[:20]) if functions else "it defines no function"
    raise Fault("the script must define post_auth or post_auth_cr; " + found)


def check_entry(kind, entry):
    line = getattr(getattr(entry, "__code__", None), "co_firstlineno", None)
    expected = PARAMETERS[kind]
    form = "%s(%s)" % (kind, ", ".join(expected))
    if not callable(entry):
        raise Fault("%s is %s; it must be a function %s" % (kind, type(entry).__name__, form))
    if inspect.iscoroutinefunction(entry) or inspect.isasyncgenfunction(entry) or inspect.isgeneratorfunction(entry):
        raise Fault("%s must be a plain function, neither async nor a generator" % kind, line)
    try:
        signature = inspect.signature(entry)
    except (TypeError, ValueError):
        return  # written in C; the first call will tell
    try:
        signature.bind(*expected)
    except TypeError:
        count = len(signature.parameters)
        found = "%s%s with %d parameter%s" % (kind, signature, count, "" if count == 1 else "s")
        raise Fault("found %s; %s takes %d" % (found, form, len(expected)), line) from None


def static_challenge(module):
    text = module.__dict__.get("STATIC_CHALLENGE")
    if text is None or text is False or text == "":
        return None
    if not isinstance(text, str) or not text.isprintable():
        raise Fault("STATIC_CHALLENGE must be one line of text")
    return str.__str__(text)


def x509_track(name, module):
    track = module.__dict__.get("x509_track")
    if track is None:
        return []
    try:
        names = track()
    except BaseException as error:
        raise fault_of(name, error) from None
    if not isinstance(names, (list, tuple)) or not all(isinstance(one, str) for one in names):
        line = getattr(getattr(track, "__code__", None), "co_firstlineno", None)
        raise Fault("x509_track() must return a list of attribute names", line)
    return [str.__str__(one) for one in names]
