"""JSON lines to and from the daemon, over one descriptor that scripts and their child processes never see."""

import collections
import fcntl
import json
import os
import threading

encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
decode = json.JSONDecoder().decode


class Pipe:
    """One reader at a time (whoever holds the lead), any number of writers."""

    def __init__(self, fd):
        # Away from the low numbers, where a script may close or write to whatever it finds.
        self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)
        os.close(fd)
        self._writing = threading.Lock()
        self._lines = collections.deque()
        self._unfinished = []
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self):
        """A copy of this process made by a script has nothing to say to the daemon."""
        os.close(self._fd)
        self._fd = None

    @property
    def mine(self):
        """False in a copy of this process."""
        return self._fd is not None

    def read(self):
        """The next message. When the daemon's end is closed, the process is over."""
        while not self._lines:
            try:
                piece = os.read(self._fd, 65536)
            except OSError:
                piece = b""
            if not piece:
                os._exit(0)
            if b"\n" not in piece:
                self._unfinished.append(piece)
                continue
            *lines, rest = (b"".join(self._unfinished) + piece).split(b"\n")
            self._unfinished = [rest]
            self._lines.extend(lines)
        return decode(self._lines.popleft().decode())

    def send(self, message):
        """Raises ValueError where the message is no JSON; nothing has been sent then."""
        self.send_line(encode(message))

    def send_line(self, line):
        if self._fd is None:
            return
        left = memoryview(line.encode("ascii") + b"\n")
        with self._writing:
            try:
                while left:
                    left = left[os.write(self._fd, left) :]
            except OSError:
                os._exit(0)
