"""A BMC on a management network: a namespace with the emulator (tests/lab/bmc), cabled to one metadata host."""

import json

from . import netns, wait
from .build import SOURCE

MANAGEMENT = "2001:db8:bc::/64"
_HOST, ADDRESS = "2001:db8:bc::1", "2001:db8:bc::b"
USER, PASSWORD = "admin", "correct horse"


class BmcHost:
    """Emulates the BMCs of the named machines; power and media are remembered, no machine runs unless `more` has a --power-on.

    `number` tells several of them apart: each is a node with a cable of its own, all inside the management prefix.
    """

    def __init__(self, lab, home, systems, number=0, more=()):
        suffix = f"-{number}" if number else ""
        self.node = lab.node(f"bmc{suffix}")
        here, there, length = (_HOST, ADDRESS, 64) if number == 0 else (f"2001:db8:bc::{number}:1", f"2001:db8:bc::{number}:b", 112)
        self.host_address = here
        netns.connect(lab.nodes[home].namespace, f"mgmt{suffix}", self.node.namespace, "eth0")
        lab.nodes[home].ip("address", "add", f"{here}/{length}", "dev", f"mgmt{suffix}", "nodad")
        self.node.ip("address", "add", f"{there}/{length}", "dev", "eth0", "nodad")
        self.endpoint = f"https://[{there}]:443"
        arguments = [word for name in systems for word in ("--system", name)]
        self.process = self.node.start("bmc", "/usr/bin/python3", "-m", "tests.lab.bmc", "--listen", f"[{there}]:443", "--tls", "--off",
                                       "--folder", self.node.folder, "--user", USER, "--password", PASSWORD, *arguments, *more,
                                       environment={"PYTHONPATH": str(SOURCE)})
        wait.until("the emulated BMC listens", lambda: "BMC of" in self.process.log(), within=15)

    def control(self, *arguments):
        """The emulator's control endpoint: "log", "systems", "release", "faults" JSON."""
        done = self.node.run("/usr/bin/env", f"PYTHONPATH={SOURCE}", "/usr/bin/python3", "-m", "tests.lab.bmc.client", self.endpoint,
                             *arguments)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def faults(self, *descriptions):
        self.control("faults", json.dumps(descriptions))

    def requests(self, method, path_end):
        return [entry for entry in self.control("log") if entry["method"] == method and entry["path"].endswith(path_end)]
