"""Where print and sys.stdout/sys.stderr go: to the call that prints, or else to the daemon's log."""

import contextvars
import io
import os
import sys
import threading

current = contextvars.ContextVar("sallyport_call_output", default=None)

LONGEST_UNSENT = 4096


class CallOutput:
    """What one call prints, sent line by line, so that it is known even if the call never ends. Bounded."""

    def __init__(self, call, limit, pipe):
        self._call = call
        self._pipe = pipe
        self._left = limit
        self._dropped = 0
        self._unsent = ""
        self._lock = threading.Lock()
        self.closed = False

    def write(self, text):
        with self._lock:
            if self._left == 0:
                self._dropped += len(text)
                return
            taken = text[: self._left]
            self._left -= len(taken)
            self._dropped += len(text) - len(taken)
            self._unsent += taken
            if "\n" in taken or self._left == 0 or len(self._unsent) > LONGEST_UNSENT:
                self._pipe.send({"op": "printed", "id": self._call, "text": self._unsent})
                self._unsent = ""

    def close(self):
        """What has not been sent yet. Whatever the call's threads print from now on goes to the log."""
        with self._lock:
            self.closed = True
            if self._dropped:
                self._unsent += "\n[%d more characters were printed]" % self._dropped
            return self._unsent


class Stream(io.TextIOBase):
    """Stands in for sys.stdout and sys.stderr."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, fd):
        self._fd = fd
        self.buffer = Bytes(self)

    def fileno(self):
        return self._fd

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        output = current.get()
        if output is not None and not output.closed and output._pipe.mine:
            output.write(text)
        else:
            write_all(self._fd, text)
        return len(text)


class Bytes(io.RawIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, stream):
        self._stream = stream

    def fileno(self):
        return self._stream.fileno()

    def writable(self):
        return True

    def write(self, data):
        self._stream.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)


def write_all(fd, text):
    try:
        for start in range(0, len(text), 65536):
            left = text[start : start + 65536].encode("utf-8", "backslashreplace")
            while left:
                left = left[os.write(fd, left) :]
    except OSError:
        pass  # nobody reads the log any more, or the script closed the descriptor


def capture():
    sys.stdout = sys.__stdout__ = Stream(1)
    sys.stderr = sys.__stderr__ = Stream(2)
