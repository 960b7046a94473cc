"""nettd and nettsh in a node, and nett.conf as an operator would write it."""

import json
import signal

from . import frr, wait
from .process import ReadySocket

LEASE_SECONDS = 3
# Where BMCs are (tests/lab/management.py).
MANAGEMENT = "2001:db8:bc::/64"


def tor_config(name, aggregate, ports):
    return f"""hostname {name}
!
plugin ra
 aggregate {aggregate}
 ports {ports}
!
"""


def meta_config(name):
    """The certificates are put in place by the lab: server.crt is the chain from leaf to root, which iPXE wants."""
    return f"""hostname {name}
!
plugin metadata
 listen [{frr.META}]:443
 server-address {frr.META}
 certificate /etc/nett/server.crt
 private-key /etc/nett/server.key
 client-ca /etc/nett/client-ca.crt
!
plugin bgp-anycast
 address {frr.META}/128
 lease {LEASE_SECONDS}
 gate prefix-list {frr.GATE} sequence 5
 drain prefix-list {frr.DRAIN} sequence 5
 require metadata
!
plugin redfish
 allow-bmc {MANAGEMENT}
!
"""


class Agent:
    """nettd in one node."""

    def __init__(self, node, build, config):
        self.node = node
        self._build = build
        self.process = None
        self.environment = {}  # more of it, for nettd
        self.configure(config)

    def configure(self, text):
        self.node.write("/etc/nett/nett.conf", text)

    def arguments(self, *more):
        return [self._build.program("nettd"), "--config", "/etc/nett/nett.conf",
                "--plugin-dir", self._build.plugin_folder(self.node.lab.folder), *more]

    def start(self, within=15):
        """Returns when nettd has said READY=1."""
        ready = ReadySocket(str(self.node.path("/run/nett/notify")))
        try:
            self.process = self.node.start("nettd", *self.arguments(), environment={"NOTIFY_SOCKET": "/run/nett/notify", **self.environment})
            ready.wait_ready(self.process, within)
        finally:
            ready.close()

    def running(self):
        return self.process is not None and self.process.running()

    def stop(self):
        self.process.stop()

    def kill(self):
        """SIGKILL, as a crash."""
        self.process.kill()

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def wait_log(self, text, within):
        wait.until(f"{self.process.name} logs {text!r}", lambda: text in self.process.log(), within)

    def check_config(self, text):
        """`nettd --check-config` on a text: the finished process with exit status and messages."""
        self.node.write("/etc/nett/checked.conf", text)
        arguments = self.arguments("--check-config")
        arguments[arguments.index("/etc/nett/nett.conf")] = "/etc/nett/checked.conf"
        return self.node.run(*arguments, check=False)

    def nettsh(self, *commands, check=True):
        """Runs commands in one session of nettsh; the finished process."""
        arguments = [word for command in commands for word in ("-c", command)]
        return self.node.run(self._build.program("nettsh"), *arguments, check=check)

    def show(self, command):
        """The JSON of a show command, or of another one that answers with data."""
        return json.loads(self.node.run(self._build.program("nettsh"), "--json", "-c", command).stdout)

    def health(self, component, name=None):
        """The health conditions of a component, by name; or one of them (None when it does not exist)."""
        conditions = {row["name"]: row for row in self.show("show health") if row["component"] == component}
        return conditions.get(name) if name else conditions

    def wait_health(self, component, name, state, within):
        def reached():
            condition = self.health(component, name)
            assert condition and condition["state"] == state, f"{component}/{name} is {condition}"
            return condition

        return wait.until(f"{self.node.name}: {component}/{name} is {state}", reached, within, every=0.2)

    def builder(self, *arguments, check=True, within=120):
        """talos-fabric-builder against this agent."""
        return self.node.run(self._build.program("talos-fabric-builder"), *arguments, check=check, within=within)
