"""Loads the script, then answers calls until the daemon closes the pipe.

Any number of threads wait in turn for the lead; the leader reads messages until one is a call, hands the lead on and
runs that call itself. So a call passes from the pipe to the script without changing threads, and somebody is always
reading: answers to searches, and the end of the pipe, are seen however many calls are under way.
"""

import builtins
import gc
import os
import resource
import threading

from pyovpn import plugin
from sallyport_host import output, supervisor
from sallyport_host.arguments import AuthRet, CrState, freeze, thaw
from sallyport_host.directory import DirectoryError, LdapContext
from sallyport_host.failures import cut, message_of, traceback_of
from sallyport_host.loading import Fault, load
from sallyport_host.pipe import Pipe, encode
from sallyport_host.values import Flattening, Unsendable, unflatten

STACK_BYTES = 2 * 1024 * 1024


def main(orders):
    """`orders`: name and text of the script, and bounds: maxOutputBytes, maxResultBytes, memoryBytes, processes."""
    supervisor.become_worker(orders["maxOutputBytes"])
    pipe = Pipe(3)
    for kind, most in ((resource.RLIMIT_DATA, orders["memoryBytes"]), (resource.RLIMIT_NPROC, orders["processes"])):
        limit(kind, most)
    output.capture()
    builtins.SUCCEED = plugin.SUCCEED
    builtins.FAIL = plugin.FAIL
    threading.stack_size(STACK_BYTES)
    try:
        entry, facts = load(orders["name"], orders["text"])
    except Fault as fault:
        message = cut(str(fault))
        pipe.send({"op": "fault", "message": message, "line": fault.line, "column": fault.column})
        os._exit(0)
    gc.freeze()
    worker = Worker(pipe, entry, facts["entry"] == "post_auth_cr", orders)
    pipe.send({"op": "loaded", "pid": os.getpid(), "facts": facts})
    worker.start_thread()
    # Signal handlers that a script installed run in this thread.
    threading.Event().wait()


def limit(kind, most):
    if most is None:
        return
    _, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY or most < hard:
        resource.setrlimit(kind, (most, most))


class Worker:
    def __init__(self, pipe, entry, keeps_state, orders):
        self._pipe = pipe
        self._entry = entry
        self._keeps_state = keeps_state
        self._max_output = orders["maxOutputBytes"]
        self._max_result = orders["maxResultBytes"]
        self._lead = threading.Lock()
        self._counting = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._searches = {}
        self._last_search = 0

    def start_thread(self):
        """One more that waits for the lead. Counted before it runs, or a call that it takes would seem to leave others."""
        with self._counting:
            self._threads += 1
        try:
            threading.Thread(target=self._serve, name="post_auth", daemon=True).start()
        except RuntimeError:
            with self._counting:
                self._threads -= 1
            raise

    def _serve(self):
        while True:
            with self._lead:
                message = self._lead_until_call()
            self._run(message)
            if not self._pipe.mine:
                os._exit(0)  # a copy of this process that the script made, and forgot to end
            with self._counting:
                self._busy -= 1

    def _lead_until_call(self):
        """Reads until a call comes, and makes sure that somebody else can take the lead after it."""
        while True:
            message = self._pipe.read()
            op = message["op"]
            if op == "found":
                self._answer_search(message)
            elif op == "ping":
                self._pipe.send({"op": "pong"})
            elif op == "call":
                with self._counting:
                    self._busy += 1
                    nobody_left = self._busy == self._threads
                if not nobody_left:
                    return message
                try:
                    self.start_thread()
                    return message
                except RuntimeError as error:
                    with self._counting:
                        self._busy -= 1
                    self._pipe.send({"op": "refused", "id": message["id"], "message": str(error)})

    def _run(self, message):
        call = message["id"]
        printing = output.CallOutput(call, self._max_output, self._pipe)
        token = output.current.set(printing)
        try:
            line = self._answer(message, printing)
        except BaseException as error:  # out of memory, or a result that attacks whoever looks at it
            line = encode({"op": "raised", "id": call, "message": type(error).__name__, "traceback": "", "printed": ""})
        finally:
            output.current.reset(token)
        self._pipe.send_line(line)

    def _answer(self, message, printing):
        call = message["id"]
        try:
            result = self._call_script(message)
            line = encode({"op": "returned", "id": call, **result, "printed": printing.close()})
            if len(line) > self._max_result + self._max_output * 6:
                raise Unsendable("the result is larger than %d bytes" % self._max_result)
            return line
        except Unsendable as error:
            answer = {"op": "unsendable", "message": cut(str(error))}
        except BaseException as error:  # sys.exit() too
            answer = {
                "op": "raised",
                "message": message_of(error),
                "traceback": traceback_of(error),
            }
        return encode({**answer, "id": call, "printed": printing.close()})

    def _call_script(self, message):
        given = message["arguments"]
        authret = AuthRet(unflatten(given["authret"]))
        authret.setdefault("proplist", {})
        if message["state"] is not None:
            authret["state"] = thaw(message["state"], "authret.state")
        arguments = [given["authcred"], given["attributes"], authret, self._info(message)]
        crstate = None
        if self._keeps_state:
            crstate = CrState(message["crstate"], message["response"])
            arguments.append(crstate)
        returned = self._entry(*arguments)
        refuse_promises(returned)
        outcome = crstate.outcome() if crstate is not None else {}
        return {**self._judgeable(returned), **outcome}

    def _judgeable(self, returned):
        """`authret.state` apart, and everything else in plain JSON."""
        state = None
        authret = returned[0] if isinstance(returned, (list, tuple)) and returned else returned
        if isinstance(authret, dict) and "state" in authret:
            state = freeze(authret["state"], "authret.state")
            authret = {key: value for key, value in authret.items() if key != "state"}
        flattening = Flattening(self._max_result)
        value = flattening.flatten(authret, "authret")
        if isinstance(returned, (list, tuple)) and returned:
            rest = [flattening.flatten(one, "proplist_save") for one in returned[1:]]
            value = [value, *rest]
        return {"value": value, "state": state}

    def _info(self, message):
        info = message["arguments"]["info"]
        if "radius_reply" in info:
            info["radius_reply"] = {int(number): values for number, values in info["radius_reply"].items()}
        if message["directory"] is not None:
            call = message["id"]
            info["ldap_context"] = LdapContext(lambda query: self._search(call, query), message["directory"])
        return info

    def _search(self, call, query):
        asked = Search()
        with self._counting:
            self._last_search += 1
            number = self._last_search
            self._searches[number] = asked
        self._pipe.send({"op": "search", "id": call, "search": number, "query": query})
        asked.done.wait()
        if asked.error is not None:
            raise DirectoryError(asked.error)
        return asked.entries

    def _answer_search(self, message):
        asked = self._searches.pop(message["search"], None)
        if asked is not None:
            asked.error = message.get("error")
            asked.entries = message.get("entries", [])
            asked.done.set()


class Search:
    """One question to the directory, until it is answered. If it never is, the call's deadline ends it all."""

    def __init__(self):
        self.done = threading.Event()
        self.error = None
        self.entries = []


def refuse_promises(returned):
    """A script that answers later would be taken for one that did not answer."""
    kind = type(returned)
    if hasattr(kind, "addCallback") and hasattr(kind, "addErrback"):
        raise Unsendable(
            "post_auth returned a Twisted Deferred, which has no answer yet; wait for it and return authret "
            "(every call has a thread of its own and may block)"
        )
    if hasattr(kind, "__await__"):
        raise Unsendable("post_auth returned %s, which has no answer yet; use asyncio.run()" % kind.__name__)
