"""Keeps a worker's offspring together, so that ending the worker ends all of it.

A small process stays between the daemon and the worker. It adopts whatever the worker's descendants leave behind, also
those that moved to a session of their own, and when the worker ends, is to end, or the daemon is gone, it kills them all.
"""

import os
import resource
import signal
import threading
import time

try:
    import ctypes
except ImportError:  # some minimal installations; then the pipe's end and the process group must do
    ctypes = None

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

LONGEST_ENDING_SECONDS = 5


def prctl(option, value):
    if ctypes is not None:
        try:
            ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
        except (AttributeError, OSError):
            pass


def become_worker(log_bytes_a_minute):
    """Returns in a new process, the worker. The calling process becomes its supervisor and never returns.

    Whatever is written to the worker's descriptors 1 and 2, by whomever, goes through a real pipe (a child process can
    open /dev/stderr then) to the supervisor, which passes a bounded part of it on.
    """
    close_inherited()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    watched = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    log, writing = os.pipe()
    supervisor = os.getpid()
    worker = os.fork()
    if worker != 0:
        try:
            os.close(writing)
            supervise(worker, watched, log, log_bytes_a_minute)
        finally:
            os._exit(70)
    os.setpgid(0, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    os.close(log)
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)


def close_inherited():
    """Whatever leaked into the daemon from the shell that started it is nothing for a script."""
    try:
        listing = [int(fd) for fd in os.listdir("/proc/self/fd")]
    except OSError:
        listing = range(4, 1024)
    for fd in listing:
        if fd > 3:
            try:
                os.close(fd)
            except OSError:
                pass


def supervise(worker, watched, log, log_bytes_a_minute):
    # Above all the pipe to the daemon, which must see the worker's end of it close.
    os.closerange(3, log)
    forwarding = threading.Thread(target=forward, args=(log, log_bytes_a_minute), daemon=True)
    forwarding.start()
    status = None
    while status is None and signal.sigwait(watched) == signal.SIGCHLD:
        status = reap().get(worker)
    end_descendants(worker)
    forwarding.join(1)
    if status is not None and os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(0 if status is None else os.waitstatus_to_exitcode(status) & 0xFF)


def forward(log, bytes_a_minute):
    """Passes on what was printed, and throws away what is beyond the bound, so that nobody who prints ever waits."""
    minute, left, dropped = time.monotonic(), bytes_a_minute, 0
    while True:
        piece = os.read(log, 65536)
        if not piece or time.monotonic() - minute > 60:
            if dropped:
                write(b"\n[%d more bytes were printed]\n" % dropped)
            minute, left, dropped = time.monotonic(), bytes_a_minute, 0
        if not piece:
            return
        write(piece[:left])
        dropped += max(0, len(piece) - left)
        left = max(0, left - len(piece))


def write(piece):
    try:
        while piece:
            piece = piece[os.write(1, piece) :]
    except OSError:
        pass  # the daemon is gone; this process soon will be


def reap():
    """Exit statuses of the children that have ended, by pid."""
    ended = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def end_descendants(worker):
    give_up = time.monotonic() + LONGEST_ENDING_SECONDS
    while time.monotonic() < give_up:
        kill(lambda: os.killpg(worker, signal.SIGKILL))
        left = children()
        for pid in left:
            kill(lambda pid=pid: os.kill(pid, signal.SIGKILL))
        reap()
        if not left:
            return
        signal.sigtimedwait({signal.SIGCHLD}, 0.02)


def kill(send):
    try:
        send()
    except OSError:
        pass


def children():
    """Processes whose parent this one is: its own and, because it adopts orphans, in time all descendants."""
    own = os.getpid()
    try:
        with open("/proc/self/task/%d/children" % own) as listing:
            return [int(pid) for pid in listing.read().split()]
    except OSError:
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent(pid) == own]


def parent(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            return int(stat.read().rpartition(b")")[2].split()[1])
    except OSError:
        return None
