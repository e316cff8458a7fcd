"""
Starts programs for the daemon and tells it how they end: a process of its own, since starting one from a process as
large as the daemon holds up everything else in it. Python, because it has posix_spawn and descriptors to wait for
processes with, and every machine that Sallyport runs on has it. docs/decisions/spawning.md has the figures.

Speaks JSON lines over descriptor 3; spawner.ts is the other end. When that end closes, the daemon is gone: what still
runs is killed, since the next daemon tells it again, and nothing may be undone by an earlier telling that goes on.
"""

import errno
import json
import os
import select
import signal
import socket
import subprocess
import time

READ_BYTES = 65_536
# More than a pipe holds at most (F_SETPIPE_SZ as anybody but root): what was written before an exit is within it.
DRAIN_BYTES = 2 * 1_048_576
# Pipes that children left behind still write to are read and dropped, so many at most; then the oldest is closed.
MOST_LEFT_OPEN = 256
# How long the end of a killed program is waited for: one stuck in the kernel must not hold the answer.
KILLED_WAIT_SECONDS = 1.0
# Most programs have ended by then: only of those that have not is the start told.
TELL_AFTER_SECONDS = 0.03
# What Python itself ignores, and programs must not.
IGNORED = [signal.SIGPIPE, signal.SIGXFSZ]


class Output:
    """Keeps the beginning and the end of what is printed: the end is where a program says why it gave up."""

    def __init__(self, most):
        self.tail_bytes = most // 2
        self.head_bytes = most - self.tail_bytes
        self.head = bytearray()
        self.tail = bytearray()
        self.left_out = 0

    def add(self, chunk):
        room = self.head_bytes - len(self.head)
        if room > 0:
            self.head += chunk[:room]
            chunk = chunk[room:]
        self.tail += chunk
        if len(self.tail) > 4 * self.tail_bytes + READ_BYTES:
            self.trim()

    def trim(self):
        surplus = len(self.tail) - self.tail_bytes
        if surplus > 0:
            del self.tail[:surplus]
            self.left_out += surplus

    def text(self):
        """Bytes that are no UTF-8, and NULs, which databases refuse, become U+FFFD."""
        self.trim()
        cut = b"\n[\xe2\x80\xa6 %d bytes left out \xe2\x80\xa6]\n" % self.left_out if self.left_out else b""
        return (self.head + cut + self.tail).decode("utf-8", "replace").replace("\0", "\ufffd")


class Run:
    """One program, from its start to its end."""

    def __init__(self, order):
        self.id = order["id"]
        self.tell_at = time.monotonic() + TELL_AFTER_SECONDS
        self.until = time.monotonic() + order["deadlineMs"] / 1_000
        self.output = Output(order["maxOutputBytes"])
        self.outcome = "ended"
        self.answered = False
        self.read_fd, write_fd = os.pipe()
        try:
            # Another account's program may open its /dev/stderr anew.
            os.fchmod(write_fd, 0o666)
            os.set_blocking(self.read_fd, False)
            self.pid = start(order, write_fd)
            self.pid_fd = self.watched()
        except BaseException:
            os.close(self.read_fd)
            raise
        finally:
            # Ours would keep the pipe from ending.
            os.close(write_fd)

    def watched(self):
        """What tells of its end; a program that nobody could wait for is not let run."""
        try:
            return os.pidfd_open(self.pid)
        except OSError:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            raise

    def read(self):
        """True where nobody can write any more."""
        try:
            chunk = os.read(self.read_fd, READ_BYTES)
        except BlockingIOError:
            return False
        if not self.answered:
            self.output.add(chunk)
        return chunk == b""

    def drain(self):
        """
        Takes what the program had written before it ended, and no more: whoever still holds the pipe may go on writing.
        """
        for _ in range(DRAIN_BYTES // READ_BYTES):
            try:
                chunk = os.read(self.read_fd, READ_BYTES)
            except BlockingIOError:
                return False
            self.output.add(chunk)
            if chunk == b"":
                return True
        return False

    def kill(self, outcome):
        """It leads its group and has not been waited for, so the number cannot be somebody else's."""
        if self.outcome == "ended":
            self.outcome = outcome
            self.until = time.monotonic() + KILLED_WAIT_SECONDS
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # The whole group has ended meanwhile.


def start(order, write_fd):
    """
    The program's pid: without a shell, with nothing of ours but the three descriptors, in a session of its own. Raises
    OSError.
    """
    # A file, not a socket: programs may open /dev/stdin anew. By its name the program is found if we are gone.
    stdin = os.memfd_create(order["tag"], os.MFD_CLOEXEC)
    try:
        os.write(stdin, order["stdin"].encode())
        os.lseek(stdin, 0, os.SEEK_SET)
        path = order["path"].encode()
        command = [path, *(arg.encode() for arg in order["args"])]
        environment = {name.encode(): value.encode() for name, value in order["environment"].items()}
        if order["account"] is not None:
            return start_as(order, command, environment, stdin, write_fd)
        # posix_spawn knows no directory; nothing else here depends on ours.
        os.chdir(order["workingDirectory"].encode())
        outputs = [(os.POSIX_SPAWN_DUP2, stdin, 0), (os.POSIX_SPAWN_DUP2, write_fd, 1), (os.POSIX_SPAWN_DUP2, write_fd, 2)]
        return os.posix_spawn(path, command, environment, file_actions=outputs, setsid=True, setsigdef=IGNORED)
    finally:
        os.close(stdin)


def start_as(order, command, environment, stdin, write_fd):
    """As another account, which posix_spawn cannot: at half the rate."""
    account = order["account"]
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=order["workingDirectory"].encode(),
        stdin=stdin,
        stdout=write_fd,
        stderr=write_fd,
        start_new_session=True,
        user=account["uid"],
        group=account["gid"],
        extra_groups=[],
    )
    # It is waited for here, not there.
    process.returncode = 0
    return process.pid


class Spawner:
    def __init__(self, control):
        self.control = control
        self.control.setblocking(False)
        self.received = bytearray()
        self.unsent = bytearray()
        self.runs = {}
        self.left_open = []
        self.poll = select.epoll()
        self.handlers = {}
        self.watch(control.fileno(), self.receive)

    def watch(self, fd, handler):
        self.handlers[fd] = handler
        self.poll.register(fd, select.EPOLLIN)

    def forget(self, fd):
        del self.handlers[fd]
        self.poll.unregister(fd)
        os.close(fd)

    def serve(self):
        self.send({"op": "ready"})
        while True:
            until = min((min(run.until, run.tell_at) for run in self.runs.values()), default=None)
            wait = None if until is None else max(0.0, until - time.monotonic())
            # Orders last: they open descriptors, whose numbers an event of this very round may stand for.
            for fd, events in sorted(self.poll.poll(wait), key=lambda event: event[0] == self.control.fileno()):
                if events & select.EPOLLOUT:
                    self.flush()
                if events & ~select.EPOLLOUT and fd in self.handlers:
                    self.handlers[fd]()
            now = time.monotonic()
            for run in [run for run in self.runs.values() if min(run.until, run.tell_at) <= now]:
                if run.until <= now:
                    self.expire(run)
                else:
                    run.tell_at = float("inf")
                    self.send({"op": "started", "id": run.id, "pid": run.pid})

    def receive(self):
        try:
            chunk = self.control.recv(READ_BYTES)
        except BlockingIOError:
            return
        except ConnectionError:
            chunk = b""
        if chunk == b"":
            self.leave()
        self.received += chunk
        *lines, rest = self.received.split(b"\n")
        self.received = rest
        for line in lines:
            order = json.loads(line)
            if order["op"] == "run":
                self.begin(order)
            elif order["id"] in self.runs:
                self.runs[order["id"]].kill("aborted")

    def leave(self):
        for run in self.runs.values():
            run.kill("aborted")
        os._exit(0)

    def begin(self, order):
        try:
            run = Run(order)
        except OSError as error:
            self.send({"op": "failed", "id": order["id"], "code": errno.errorcode.get(error.errno, str(error.errno))})
            return
        except Exception as error:
            self.send({"op": "failed", "id": order["id"], "code": repr(error)})
            return
        self.runs[run.id] = run
        self.watch(run.pid_fd, lambda: self.finish(run))
        self.watch(run.read_fd, lambda: self.read(run))

    def read(self, run):
        if run.read():
            self.close_output(run)

    def close_output(self, run):
        self.forget(run.read_fd)
        run.read_fd = None
        if run in self.left_open:
            self.left_open.remove(run)

    def finish(self, run):
        """The program itself has ended; whoever holds its output open is not waited for."""
        self.forget(run.pid_fd)
        status = os.waitstatus_to_exitcode(os.waitpid(run.pid, 0)[1])
        self.runs.pop(run.id, None)
        self.answer(run, status)

    def expire(self, run):
        if run.outcome == "ended":
            run.kill("timed-out")
            return
        # Killed and still there: answered now, waited for in silence.
        del self.runs[run.id]
        self.answer(run, None)

    def answer(self, run, status):
        if run.answered:
            return
        all_closed = run.read_fd is None or run.drain()
        run.answered = True
        if run.read_fd is not None:
            self.leave_open(run, all_closed)
        end = {"op": "ended", "id": run.id, "outcome": run.outcome, "output": run.output.text()}
        run.output = None
        self.send({**end, "status": status})

    def leave_open(self, run, all_closed):
        self.left_open.append(run)
        if all_closed:
            self.close_output(run)
        elif len(self.left_open) > MOST_LEFT_OPEN:
            self.close_output(self.left_open[0])

    def send(self, message):
        self.unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self):
        """The daemon may be busy: nothing here waits for it."""
        try:
            sent = self.control.send(self.unsent)
            del self.unsent[:sent]
        except BlockingIOError:
            pass
        except ConnectionError:
            self.leave()
        events = select.EPOLLIN | (select.EPOLLOUT if self.unsent else 0)
        self.poll.modify(self.control.fileno(), events)


def main():
    # What we ignored would be ignored by every program; what we handle is not. We end with the daemon, not before it.
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.set_inheritable(3, False)
    Spawner(socket.socket(fileno=3)).serve()


main()
