"""The first thing a worker runs, given to `python3 -c`. Everything else arrives over file descriptor 3.

So neither the account the worker runs as nor the script needs to be able to read Sallyport's files.
"""

import importlib.machinery
import json
import os
import sys


def take(size):
    taken = b""
    while len(taken) < size:
        piece = os.read(3, size - len(taken))
        if not piece:
            os._exit(0)
        taken += piece
    return taken


class SentModules:
    """Finds and loads the modules whose source text was sent."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        if name not in self.sources:
            return None
        package = any(other.startswith(name + ".") for other in self.sources)
        return importlib.machinery.ModuleSpec(name, self, is_package=package)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__
        exec(compile(self.sources[name], "<" + name + ">", "exec"), module.__dict__)


os.set_blocking(3, True)
if sys.version_info < (3, 9):
    found = ".".join(str(part) for part in sys.version_info[:3])
    message = "%s is Python %s; post-auth scripts need 3.9 or later" % (sys.executable, found)
    fault = {"op": "fault", "message": message, "line": None, "column": None}
    os.write(3, json.dumps(fault).encode() + b"\n")
    os._exit(0)

orders = json.loads(take(int(take(10))))
sys.meta_path.insert(0, SentModules(orders.pop("sources")))

import sallyport_host.worker  # noqa: E402  the importer above has to be there first

sallyport_host.worker.main(orders)
