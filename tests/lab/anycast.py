"""What tests say about the preferred metadata host's announcement of the anycast address."""

import contextlib
import re

from . import agent, frr, wait
from .fabric import TORS

# The ToRs' interfaces to the preferred metadata host, and to the other one.
HOME, OTHER = "fab-meta-1", "fab-meta-2"
UNKNOWN = "/v1/boot/00000000-1111-4222-8333-444444444444"
QUICK = "  interval 100\n  fast-interval 100\n  rise 1\n  fall 1\n"


class Anycast:
    """Of one world (tests/integration/conftest.py)."""

    def __init__(self, world):
        self.world = world
        self.agent = world.home
        self.node = world.lab.nodes["meta-1"]
        self.frr = world.fabric.frr["meta-1"]

    def configure(self, *lines, without=(), before=""):
        """The lab's configuration with more lines in the plugin's node, and before the plugins; the agent reloads it."""
        text = agent.meta_config("meta-1")
        for line in without:
            assert line in text
            text = text.replace(line, "")
        text = re.sub(r"(plugin bgp-anycast\n(?: .*\n)*)", lambda found: found.group(1) + "".join(lines), text)
        text = text.replace("!\n", before + "!\n", 1)
        self.agent.configure(text)
        if self.agent.running():
            self.agent.reload()

    def show(self):
        return self.agent.show("show anycast")

    def check(self, name):
        found = next((row for row in self.show()["checks"] if row["name"] == name), None)
        assert found, f"there is no check {name} (yet)"
        return found

    def wait_state(self, state, within=10):
        def reached():
            shown = self.show()
            assert shown["state"] == state, f"{shown['state']}: {shown['reason']}"
            return shown

        return wait.until(f"show anycast says {state}", reached, within, every=0.1)

    def wait_next_hop(self, interface, within=5):
        wait.until(f"both ToRs reach it through {interface}",
                   lambda: all(self.world.fabric.anycast_next_hop(tor) == interface for tor in TORS), within)

    def path_of_home(self, tor="tor-a"):
        """The ToR's BGP path from meta-1, or None."""
        paths = self.world.fabric.frr[tor].vtysh_json(f"show bgp ipv6 unicast {frr.META}/128").get("paths", [])
        return next((path for path in paths if path["peer"].get("interface") == HOME), None)

    def flag(self):
        """A file that is there, for a check to look at."""
        path = self.world.lab.folder / "healthy"
        path.touch()
        return path

    def on_host(self):
        return frr.META in self.node.ip("address", "show")

    @contextlib.contextmanager
    def never_announced(self):
        """Fails if a ToR's kernel has a route to meta-1 at any moment inside."""
        monitor = self.world.lab.nodes["tor-a"].start("monitor", "/usr/sbin/ip", "-6", "monitor", "route")
        try:
            yield
        finally:
            monitor.kill()
        seen = [line for line in monitor.log().splitlines() if frr.META in line and HOME in line and not line.startswith("Deleted")]
        assert not seen, seen
