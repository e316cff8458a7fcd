"""Paths of Windows for our own Python, which thinks that it is on unix: `C:\\Users` is where drive C is mounted. Names of
modules and functions are Python's on Windows.
"""

import builtins
import functools
import io
import ntpath
import os
import shutil
import sys
import tempfile
import tokenize

_drives = {}
_getcwd = os.getcwd


def to_unix(path):
    """Where the file is for what reads it. Python's own files and descriptors stay what they are."""
    if isinstance(path, int):
        return path
    path = os.fspath(path)
    if isinstance(path, bytes):
        return os.fsencode(to_unix(os.fsdecode(path)))
    if path.startswith(("/lib/", "/dev/")) or path in _drives.values() or path.startswith(_roots()):
        return path
    if path.lower() in ("nul", "\\\\.\\nul"):
        return "/dev/null"
    drive, rest = ntpath.splitdrive(path)
    if not drive and not rest.startswith(("\\", "/")):
        return rest.replace("\\", "/")
    letter = (drive or ntpath.splitdrive(to_windows(_getcwd()))[0])[:1].lower()
    if drive.startswith("\\\\") or letter not in _drives:
        raise FileNotFoundError(2, "the built-in Python reaches drives with a letter only", path)
    return _drives[letter] + "/" + rest.replace("\\", "/").lstrip("/")


def _roots():
    return tuple(root + "/" for root in _drives.values())


def to_windows(path):
    for letter, root in _drives.items():
        if path == root or path.startswith(root + "/"):
            return letter.upper() + ":\\" + path[len(root) + 1 :].replace("/", "\\")
    return path


def _with_paths(function, count=1):
    @functools.wraps(function)
    def call(*arguments, **options):
        paths = [to_unix(path) for path in arguments[:count]]
        for name in ("path", "src", "dst"):
            if options.get(name) is not None:
                options[name] = to_unix(options[name])
        return function(*paths, *arguments[count:], **options)

    return call


_one_path = (
    "access chdir chmod lstat listdir mkdir open readlink remove rmdir scandir stat statvfs truncate unlink utime".split()
)
_two_paths = "link rename replace symlink".split()


def _which(command, mode=os.F_OK | os.X_OK, path=None):
    extensions = os.environ.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").lower().split(";")
    has_extension = any(command.lower().endswith(extension) for extension in extensions)
    directories = [""] if ntpath.dirname(command) else (path or os.environ.get("PATH", "")).split(";")
    for directory in directories:
        for extension in [""] if has_extension else extensions:
            candidate = ntpath.join(directory.strip('"'), command + extension)
            if os.path.isfile(candidate):
                return candidate
    return None


def install_windows_paths(drives, environment):
    """`drives`: letter → where it is mounted. `environment` becomes os.environ, which knows no case."""
    _drives.update(drives)
    for name in _one_path:
        if hasattr(os, name):
            setattr(os, name, _with_paths(getattr(os, name)))
    for name in _two_paths:
        if hasattr(os, name):
            setattr(os, name, _with_paths(getattr(os, name), 2))
    os.getcwd = lambda: to_windows(_getcwd())
    opened = io.open
    io.open = builtins.open = tokenize._builtin_open = functools.wraps(opened)(
        lambda file, *arguments, **options: opened(to_unix(file), *arguments, **options)
    )
    os.environ = os._Environ({k.upper(): v for k, v in environment.items()}, str.upper, str, str, str)
    os.path = shutil.os.path = tempfile._os.path = sys.modules["os.path"] = ntpath
    os.name, os.sep, os.altsep, os.pathsep, os.linesep, os.devnull = "nt", "\\", "/", ";", "\r\n", "nul"
    os.curdir, os.pardir, os.extsep, os.defpath = ".", "..", ".", ".;C:\\bin"
    # They work with descriptors of directories on unix, by names on Windows.
    shutil._use_fd_functions = False
    shutil.which = _which
