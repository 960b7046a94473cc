"""The lab's fabric: tor-a, tor-b, meta-1, meta-2 and BGP unnumbered between every ToR and every metadata host.

        meta-1          meta-2            META::1/128 = 2001:db8:ffff::1, announced by both, meta-1 preferred
          |   \\        /   |
          |     \\    /     |
          |     /    \\     |              fab-<peer> on both ends: IPv6 link-local only
        tor-a           tor-b             aggregates 2001:db8:b000::/56 and 2001:db8:b000:100::/56
        swp1 …          swp1 …            the n-th server has its first NIC on tor-a's swpN, its second on tor-b's
"""

import fcntl
import os
import pathlib
import shlex
import shutil

from . import frr, netns, wait
from .node import Node

TORS = {"tor-a": "2001:db8:b000::/56", "tor-b": "2001:db8:b000:100::/56"}
METAS = ("meta-1", "meta-2")


class Lab:
    """Everything of one lab on this machine: a prefix of namespaces, a folder, the processes. Use it as a context manager
    or call down(). What an earlier, crashed run with this prefix left is removed first."""

    def __init__(self, prefix="nett-", environment=None):
        self.prefix = prefix
        self.folder = lab_folder(prefix)
        self.processes = []
        self.nodes = {}
        self._lock = lock(prefix)
        remove(prefix)
        self.folder.mkdir(parents=True, mode=0o755)
        # Sourced by `enter`: how the lab's nodes find what is not installed, the build's nettsh for one.
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in (environment or {}).items()]
        (self.folder / "environment").write_text("".join(lines), encoding="utf-8")

    def node(self, name):
        self.nodes[name] = Node(self, name)
        return self.nodes[name]

    def down(self):
        """Ends everything. The logs stay, in the folder that is returned, until the next lab with this prefix."""
        stop_nodes(self.prefix)
        for process in self.processes:
            process.kill()
        self._lock.close()
        return self.folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()


def lab_folder(prefix):
    return pathlib.Path("/var/tmp") / f"{prefix}lab"


def stop_nodes(prefix):
    for name in netns.existing(prefix):
        netns.destroy(name)


def remove(prefix):
    """Removes namespaces, processes and files of a lab, whoever made it."""
    stop_nodes(prefix)
    shutil.rmtree(lab_folder(prefix), ignore_errors=True)


def lock(prefix):
    """One run at a time for each prefix: a second one would take down the first one's lab. Returns a file; closing it unlocks."""
    file = open(f"/run/{prefix}lab.lock", "w", encoding="ascii")  # pylint: disable=consider-using-with
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RuntimeError(f"another run with the prefix {prefix} is working on its lab; wait for its end") from None
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


class Fabric:
    """The ToRs and the metadata hosts with their FRR. Agents are started separately (tests/lab/agent.py)."""

    def __init__(self, lab, bfd=False, metas=METAS, spread=False):
        """`spread`: no metadata host is preferred, and the ToRs spread over all that announce (ECMP)."""
        self.lab = lab
        self.frr = {}
        self.metas = metas
        for name in (*TORS, *metas):
            lab.node(name)
        for tor in TORS:
            netns.sysctl(lab.nodes[tor].namespace, "net/ipv6/conf/all/forwarding", 1)
            for meta in metas:
                netns.connect(lab.nodes[tor].namespace, f"fab-{meta}", lab.nodes[meta].namespace, f"fab-{tor}")
        for number, (tor, aggregate) in enumerate(TORS.items()):
            config = frr.tor_config(tor, number, aggregate, [f"fab-{meta}" for meta in metas])
            config = frr.with_multipath(config, len(metas)) if spread else config
            self.frr[tor] = frr.Frr(lab.nodes[tor], config, bfd)
        for number, meta in enumerate(metas):
            config = frr.meta_config(meta, len(TORS) + number, [f"fab-{tor}" for tor in TORS], less_preferred=number > 0 and not spread)
            self.frr[meta] = frr.Frr(lab.nodes[meta], config, bfd)

    def start_frr(self):
        for instance in self.frr.values():
            instance.start()

    def wait_established(self, within=30):
        """Until all sessions are up, seen from the ToRs."""
        for tor in TORS:
            for meta in self.metas:
                wait.until(f"BGP between {tor} and {meta}", lambda t=tor, m=meta: self.frr[t].established(f"fab-{m}"), within,
                           every=0.2)

    def anycast_next_hop(self, tor):
        """The interface of the ToR's kernel route to META::1, or None."""
        for route in self.lab.nodes[tor].routes_to(f"{frr.META}/128"):
            words = route.split()
            if "dev" in words:
                return words[words.index("dev") + 1]
        return None

    def anycast_next_hops(self, tor):
        """The metadata hosts that the ToR's kernel spreads requests over."""
        words = self.lab.nodes[tor].ip("route", "show", f"{frr.META}/128").split()
        return {word.removeprefix("fab-") for word in words if word.startswith("fab-")}

    def anycast_installed(self, tor):
        """Whether the ToR's kernel route is the one that its bgpd asked for. After a restart zebra finds the route of its former life
        in the kernel; until bgpd has told it anew (administrative distance 20), that one would not follow a withdrawal."""
        routes = self.frr[tor].vtysh_json(f"show ipv6 route {frr.META}/128").get(f"{frr.META}/128", [])
        return any(route.get("protocol") == "bgp" and route.get("distance") == 20 and route.get("selected") and route.get("installed")
                   for route in routes)

    def anycast_announcers(self, tor):
        """From how many neighbours the ToR has a path for META::1."""
        return len(self.frr[tor].vtysh_json(f"show bgp ipv6 unicast {frr.META}/128").get("paths", []))
