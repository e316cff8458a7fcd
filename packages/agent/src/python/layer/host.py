"""What our own Python lacks, which runs in WebAssembly: processes, HTTP, the browser, time. `_host.call(name, arguments)`
is answered by the thread beside it (host-worker.ts); it blocks.
"""

import errno
import io
import json
import os
import platform
import socket
import subprocess
import sys
import time
import urllib.request
import urllib.response
import webbrowser
import http.client
import shutil, tempfile, getpass, glob, signal, threading, zipfile, ctypes  # noqa: before the platform changes its name

_host = None
_windows = False


def _call(name, **arguments):
    """The answer of the process around us: its fields, or its bytes. One of the arguments may be bytes."""
    plain = {key: value for key, value in arguments.items() if not isinstance(value, bytes)}
    binary = next((value for value in arguments.values() if isinstance(value, bytes)), None)
    text, data = _host.call(name, json.dumps(plain), binary)
    if data is not None:
        return data.to_bytes()
    answer = json.loads(text)
    if "error" in answer:
        number = getattr(errno, answer.get("errno") or "", errno.EIO)
        if answer.get("errno") == "ENOENT":
            raise FileNotFoundError(number, os.strerror(number), answer.get("path"))
        raise OSError(number, answer["error"], answer.get("path"))
    return answer


class _Reader(io.RawIOBase):
    """What a process prints, or the body of an answer; read as it comes."""

    def __init__(self, stream):
        self._stream = stream

    def readable(self):
        return True

    def readinto(self, buffer):
        data = _call("read", stream=self._stream, most=len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self):
        if not self.closed:
            _call("close", stream=self._stream)
        super().close()


class _Writer(io.RawIOBase):
    def __init__(self, stream):
        self._stream = stream

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        if data:
            _call("write", stream=self._stream, data=data)
        return len(data)

    def close(self):
        if not self.closed:
            _call("close", stream=self._stream)
        super().close()


def _arguments_of(args, shell, executable):
    """The program and its arguments, or on Windows a line for it."""
    if shell:
        command = args if isinstance(args, str) else subprocess.list2cmdline(args)
        if _windows:
            cmd = os.environ.get("ComSpec") or "cmd.exe"
            return {"program": executable or cmd, "line": '/d /s /c "%s"' % command}
        words = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
        return {"program": executable or "/bin/sh", "args": ["-c"] + [os.fsdecode(word) for word in words]}
    if isinstance(args, str) and _windows:
        program, _, rest = args[1:].partition('"') if args.startswith('"') else args.partition(" ")
        return {"program": executable or program, "line": rest.strip()}
    words = [os.fsdecode(args)] if isinstance(args, (str, bytes, os.PathLike)) else [os.fsdecode(word) for word in args]
    return {"program": os.fsdecode(executable or words[0]), "args": words[1:], "argv0": words[0]}


def _both_in_one(words, env):
    """Node joins no two pipes of a process; a shell that becomes the program does, and keeps what is printed in order."""
    program = shutil.which(words["program"], path=env.get("PATH", os.defpath))
    if program is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words["program"])
    return {"program": "/bin/sh", "args": ["-c", 'exec "$0" "$@" 2>&1', program, *words["args"]]}


class Popen:
    """subprocess.Popen over the processes of the machine. Process groups, fork hooks and passed descriptors are not there."""

    def __init__(self, args, bufsize=-1, executable=None, stdin=None, stdout=None, stderr=None, preexec_fn=None,
                 close_fds=True, shell=False, cwd=None, env=None, universal_newlines=None, startupinfo=None,
                 creationflags=0, restore_signals=True, start_new_session=False, pass_fds=(), *, text=None,
                 encoding=None, errors=None, user=None, group=None, extra_groups=None, umask=-1, pipesize=-1,
                 process_group=None):
        if preexec_fn is not None or pass_fds or user is not None or group is not None:
            raise NotImplementedError("the built-in Python starts no processes with preexec_fn, pass_fds, user or group")
        self.args = args
        self.stdin = self.stdout = self.stderr = None
        self.returncode = None
        sys.stdout.flush()
        sys.stderr.flush()
        words = _arguments_of(args, shell, executable)
        directory = os.path.abspath(os.fsdecode(cwd)) if cwd is not None else os.getcwd()
        if not os.path.isdir(directory):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), directory)
        if stderr == subprocess.STDOUT and stdout == subprocess.PIPE and not _windows:
            words = _both_in_one(words, os.environ if env is None else env)
            stderr = None
        started = _call(
            "spawn",
            **words,
            cwd=directory,
            env={os.fsdecode(k): os.fsdecode(v) for k, v in (os.environ if env is None else env).items()},
            stdio=[self._stdio(stdin, 0), self._stdio(stdout, 1), self._stdio(stderr, 2)],
        )
        self.pid = started["pid"]
        self._process = started["process"]
        streams = started["streams"]
        wants_text = text or universal_newlines or encoding or errors
        wrap = lambda file: io.TextIOWrapper(file, encoding=encoding or "utf-8", errors=errors or "strict",
                                             write_through=True) if wants_text else file
        if streams[0] is not None:
            self.stdin = wrap(io.BufferedWriter(_Writer(streams[0])))
        if streams[1] is not None:
            self.stdout = wrap(io.BufferedReader(_Reader(streams[1])))
        if streams[2] is not None:
            self.stderr = wrap(io.BufferedReader(_Reader(streams[2])))

    @staticmethod
    def _stdio(asked, descriptor):
        if asked is None:
            return {"inherit": descriptor}
        if asked == subprocess.PIPE:
            return {"pipe": True}
        if asked == subprocess.DEVNULL:
            return {"ignore": True}
        if asked == subprocess.STDOUT:
            return {"stdout": True}
        if not isinstance(asked, int):
            asked.flush() if getattr(asked, "writable", lambda: False)() else None
            asked = asked.fileno()
        return {"inherit": asked} if asked in (0, 1, 2) else {"descriptor": _host.descriptor(asked)}

    def poll(self):
        return self._wait(0)

    def wait(self, timeout=None):
        if self._wait(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _wait(self, timeout):
        if self.returncode is None:
            self.returncode = _call("wait", process=self._process, seconds=timeout).get("status")
        return self.returncode

    def communicate(self, input=None, timeout=None):
        if self.stdin is not None:
            try:
                if input:
                    self.stdin.write(input)
                self.stdin.close()
            except BrokenPipeError:
                pass
        if timeout is not None:
            # What it prints is kept outside meanwhile, so that it never waits for us.
            self.wait(timeout)
        out = self.stdout.read() if self.stdout is not None else None
        error = self.stderr.read() if self.stderr is not None else None
        for stream in (self.stdout, self.stderr):
            if stream is not None:
                stream.close()
        self.wait()
        return out, error

    def send_signal(self, number):
        if self.poll() is None:
            _call("kill", process=self._process, signal=int(number))

    def terminate(self):
        self.send_signal(15)

    def kill(self):
        self.send_signal(9)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for stream in (self.stdout, self.stderr, self.stdin):
            if stream is not None:
                stream.close()
        self.wait()


def _system(command):
    status = Popen(os.fsdecode(command), shell=True).wait()
    if _windows:
        return status
    return -status if status < 0 else status << 8


class HTTPHandler(urllib.request.AbstractHTTPHandler):
    """http: and https: through the process around us, which knows the machine's certificates."""

    def __init__(self, debuglevel=None, context=None, check_hostname=None):
        super().__init__(debuglevel)
        self._insecure = context is not None and getattr(context, "verify_mode", 2) == 0

    def http_open(self, request):
        if getattr(request, "_tunnel_host", None):
            raise urllib.error.URLError("the built-in Python reaches https servers without a proxy only")
        data = request.data
        if data is not None and not isinstance(data, (bytes, bytearray)):
            data = data.read() if hasattr(data, "read") else b"".join(data)
        headers = {**request.unredirected_hdrs, **request.headers}
        headers.pop("Content-length", None)
        timeout = request.timeout if isinstance(request.timeout, (int, float)) else None
        try:
            answer = _call("request", url="%s://%s" % (request.type, request.host), path=request.selector,
                           method=request.get_method(), headers=headers, seconds=timeout, insecure=self._insecure,
                           body=bytes(data) if data is not None else None)
        except OSError as error:
            raise urllib.error.URLError(error) from None
        lines = "".join("%s: %s\r\n" % (name, value) for name, value in answer["headers"])
        headers = http.client.parse_headers(io.BytesIO((lines + "\r\n").encode("iso-8859-1", "replace")))
        body = io.BufferedReader(_Reader(answer["stream"]))
        response = urllib.response.addinfourl(body, headers, request.full_url, answer["status"])
        response.msg = response.reason = answer["reason"]
        response.getheader = headers.get
        response.getheaders = headers.items
        return response

    https_open = http_open
    http_request = urllib.request.AbstractHTTPHandler.do_request_
    https_request = http_request


def _open_browser(url, new=0, autoraise=True):
    url = str(url)
    if url.startswith("-"):
        return False
    for line in filter(None, os.environ.get("BROWSER", "").split(os.pathsep)):
        words = [word.replace("%s", url) for word in line.split()] if "%s" in line else [*line.split(), url]
        if _opens(words):
            return True
    if _windows:
        root = os.environ.get("SystemRoot", r"C:\Windows")
        return _opens([root + r"\System32\rundll32.exe", "url.dll,FileProtocolHandler", url])
    return _opens(["/usr/bin/open" if sys.platform == "darwin" else "xdg-open", url])


def _opens(words):
    """Whether the browser, or what starts it, is running after a moment or has ended well."""
    try:
        opening = Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return opening.wait(5) == 0
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False


def _absent(name):
    def call(*arguments, **options):
        raise NotImplementedError("%s is not there in the built-in Python; see the setting python" % name)

    return call


def install_host(host):
    """Puts the machine into place of what WebAssembly has: from here on this looks like the machine's Python."""
    global _host, _windows
    _host = host
    facts = json.loads(host.facts())
    _windows = facts["platform"] == "win32"
    os.environ.clear()
    if _windows:
        install_windows_paths(facts["drives"], facts["environment"])
    else:
        os.environ.update(facts["environment"])
    subprocess.Popen = Popen
    os.system = _system
    os.getpid = lambda: facts["pid"]
    os.kill = lambda pid, number: _call("killPid", pid=pid, signal=int(number)) and None
    os.startfile = lambda path, *rest: _call("open", path=path) and None
    time.sleep = host.sleep
    socket.gethostname = lambda: facts["hostName"]
    socket.getfqdn = lambda name="": name or facts["hostName"]
    socket.socket = socket.create_connection = _absent("socket")
    threading.Thread.start = _absent("threading")
    for name in ("fork", "forkpty", "execv", "execve", "execvp", "posix_spawn", "spawnv", "spawnl", "spawnlp", "spawnvp"):
        setattr(os, name, _absent("os." + name))
    uname = os.uname_result((facts["system"], facts["hostName"], facts["release"], facts["version"], facts["machine"]))
    os.uname = lambda: uname
    platform.uname = lambda: platform.uname_result(*uname[:5])
    platform.system = lambda: facts["system"]
    platform.node = lambda: facts["hostName"]
    platform.release = lambda: facts["release"]
    platform.version = lambda: facts["version"]
    platform.machine = lambda: facts["machine"]
    platform.platform = lambda *_: "%s-%s-%s" % (facts["system"], facts["release"], facts["machine"])
    uid, gid = facts["ids"] or (None, None)
    for name, number in (("getuid", uid), ("geteuid", uid), ("getgid", gid), ("getegid", gid)):
        if number is not None:
            setattr(os, name, lambda number=number: number)
        elif hasattr(os, name):
            delattr(os, name)
    urllib.request.HTTPHandler = urllib.request.HTTPSHandler = HTTPHandler
    webbrowser.open = _open_browser
    webbrowser.open_new = lambda url: _open_browser(url, 1)
    webbrowser.open_new_tab = lambda url: _open_browser(url, 2)
    sys.platform = facts["platform"]
    # There is no program to start again; a snapshot has the name of what made it.
    sys.executable = sys._base_executable = ""
    sys.orig_argv = []
